import { describe, expect, test } from '@jest/globals'
import { fillName, flaggedIn, freeName } from './names.ts'

const parts = { behavior: 'Comfort Seekers', purpose: 'exclusion', memberDays: 180, now: new Date('2026-12-31T23:30:00Z'), timeZone: 'UTC' }

describe('templates', () => {
  test.each([
    ['CustomerMatch - {behavior} - {quarter}', 'CustomerMatch - Comfort Seekers - Q4 2026'],
    ['{purpose} - {behavior} - {duration}', 'Exclusion - Comfort Seekers - 180d'],
    ['Custom {date}', 'Custom 2026-12-31'],
    ['no template', 'no template'],
  ])('%s', (template, name) => {
    expect(fillName(template, parts)).toEqual({ name })
  })
  test('quarter and date are those of the schedule’s time zone', () => {
    expect(fillName('{quarter} {date}', { ...parts, timeZone: 'Europe/Berlin' })).toEqual({ name: 'Q1 2027 2027-01-01' })
  })
  test('a template that is none, and a duration where members stay for ever, are named', () => {
    expect(fillName('{colour}', parts)).toEqual({ problem: expect.stringContaining('{colour}') })
    expect(fillName('{duration}', { ...parts, memberDays: null })).toEqual({ problem: expect.stringContaining('how long') })
  })
  test('braces of a behavior’s name are never a template', () => {
    expect(fillName('{behavior}', { ...parts, behavior: '{purpose}' })).toEqual({ name: 'purpose' })
  })
})

describe('words that a platform flags', () => {
  const rules = { advice: [], flagged: [{ topic: 'health', words: ['diabetes', 'patient', 'weight loss'] }] }
  const of = (name: string, description = '') => flaggedIn({ name, description }, rules)
  test('are found as whole words, singular and plural, whatever parts them', () => {
    expect(of('Weight_Loss - PATIENTS 2026')).toEqual([{ field: 'name', topic: 'health', words: ['patient', 'weight loss'] }])
    expect(of('Quiet', 'people with diabetes')).toEqual([{ field: 'description', topic: 'health', words: ['diabetes'] }])
  })
  test('are not found inside others, nor where the platform has no such rule', () => {
    expect(of('Impatient shoppers - loss leaders')).toEqual([])
    expect(flaggedIn({ name: 'diabetes', description: '' }, undefined)).toEqual([])
  })
})

test('a suggestion is free and no longer than a name may be', () => {
  expect(freeName('Ann', new Set(['ann', 'ann (2)']), 200)).toBe('Ann (3)')
  expect(freeName('x'.repeat(10), new Set(), 10)).toBe('xxxxxx (2)')
})
