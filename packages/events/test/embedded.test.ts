import { describe } from '@jest/globals'
import { contract } from './contract.ts'
import { embeddedRig } from './rig.ts'

describe('the contract, on the log in Postgres', () => contract(embeddedRig))
