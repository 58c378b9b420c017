/** What can be wrong with the proofs of erasures and the audit log that names them (GET /v1/privacy/proofs/verification). */
import { entry } from './entry.ts'

const INVESTIGATE = 'Find out who could write to the database since the last verification that held'

export const proofs = {
  audit_line_missing: entry(409, 'Lines of the audit log are missing', `${INVESTIGATE}, and bring the lines before this one back from a backup.`),
  audit_line_altered: entry(409, 'A line of the audit log is not what was written', `${INVESTIGATE}; this line or the one before it was changed.`),
  proof_missing: entry(409, 'A proof that the audit log names is gone', `${INVESTIGATE}, and bring the proof back from a backup or from whoever was given it.`),
  proof_altered: entry(
    409,
    'A proof is not the one that the audit log names',
    `${INVESTIGATE}, and bring the proof back from a backup or from whoever was given it.`,
  ),
  proof_signature_invalid: entry(409, 'The signature of a proof is not ours', `${INVESTIGATE}; the audit log was computed anew to fit it.`),
  proof_unchained: entry(409, 'The audit log lacks the line that named a proof', `${INVESTIGATE}; the log was cut off or computed anew.`),
} as const
