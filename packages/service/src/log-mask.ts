/** Last resort for text that was meant to be harmless: addresses, phone numbers, bearer tokens and digests are blotted out. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/[^\s@"'<>=&/]+(?:@|%40)[^\s@"'<>&/]+\.[a-z]{2,}/gi, '[address]'],
  [/\+\d{7,15}\b/g, '[phone]'],
  [/\b(bearer|basic)\s+[\w.~+/=-]+/gi, '$1 [secret]'],
  [/\b(access_token|refresh_token|client_secret|appsecret_proof|password|code)=[^\s&"']+/gi, '$1=[secret]'],
  [/\b[0-9a-f]{64}\b/gi, '[digest]'],
  [/\/\/[^\s/@:]+:[^\s/@]+@/g, '//[secret]@'],
]

export const mask = (text: string): string => PATTERNS.reduce((masked, [pattern, blot]) => masked.replace(pattern, blot), text)
