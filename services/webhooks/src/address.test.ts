/** RELIABILITY.md §3.6: where a customer may not send us. */
import { describe, expect, test } from '@jest/globals'
import { checkUrl, isForbidden } from './address.ts'

const strict = { loopback: false }
const sandbox = { loopback: true }

const FORBIDDEN = (
  '0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 ' +
  '192.0.0.1 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 ' +
  ':: ::1 ::127.0.0.1 ::7f00:1 ::a00:1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:a9fe:a9fe ::ffff:8.8.8.8 64:ff9b::1 64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001::1 2001:0:1::1 2001:db8::1 ' +
  '2002::1 2002:7f00:1:: 3fff::1 5f00::1 fc00::1 fd12:3456::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 not-an-address'
).split(' ')
const ALLOWED = [
  '1.1.1.1',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.1',
  '100.63.255.255',
  '100.128.0.1',
  '128.0.0.1',
  '169.253.0.1',
  '172.15.255.255',
  '172.32.0.1',
  '192.167.0.1',
  '223.255.255.255',
  '2606:4700::1111',
  '2a00:1450:4001::1',
]

test.each(FORBIDDEN.map((one) => [one]))('%s is never told', (address) => expect(isForbidden(address, strict)).toBe(true))
test.each(ALLOWED.map((one) => [one]))('%s is', (address) => expect(isForbidden(address, strict)).toBe(false))

test('the sandbox may tell this machine, and nothing else that is private', () => {
  for (const address of ['127.0.0.1', '::1']) expect(isForbidden(address, sandbox)).toBe(false)
  for (const address of ['10.0.0.1', '169.254.169.254', 'fd00::1', '0.0.0.0']) expect(isForbidden(address, sandbox)).toBe(true)
})

describe('a URL', () => {
  test.each([
    'https://example.com/hooks',
    'https://example.com:8443/hooks?x=1',
    'https://xn--bcher-kva.example/',
    'https://1.1.1.1/',
    'https://[2606:4700::1111]/',
    'https://example.com./',
  ])('%s is taken', (url) => expect(checkUrl(url, strict).href).toBe(url))

  test.each([
    'http://example.com/',
    'ftp://example.com/',
    'https://example.com:22/',
    'https://user:password@example.com/',
    'https://user@example.com/',
    'https://localhost/',
    'https://postgres/',
    'https://connections.audience-sync.svc/',
    'https://connections.audience-sync.svc.cluster.local/',
    'https://metadata.google.internal/',
    'https://METADATA.google.INTERNAL./',
    'https://printer.local/',
    'https://a.localhost/',
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://１２７.０.０.１/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[::7f00:1]/',
    'https://169.254.169.254/latest/meta-data/',
    'https://10.0.0.1/',
    'https://[fd00:ec2::254]/',
    'https://',
    'example.com',
    `https://example.com/${'x'.repeat(2_048)}`,
  ])('%s is refused', (url) => expect(() => checkUrl(url, strict)).toThrow(expect.objectContaining({ code: 'webhook_url_not_allowed' })))

  test('in the sandbox this machine is taken without TLS, on any port; others are held to the rules', () => {
    for (const url of ['http://127.0.0.1:4321/', 'http://localhost:4321/', 'http://[::1]:4321/', 'https://127.0.0.1/'])
      expect(checkUrl(url, sandbox).href).toBe(url)
    for (const url of ['http://example.com/', 'https://10.0.0.1/', 'ftp://127.0.0.1/', 'http://0.0.0.0:80/', 'https://postgres/'])
      expect(() => checkUrl(url, sandbox)).toThrow()
  })
})
