/**
 * Characters that a screen does not show, and characters that change the direction of a text
 * (Unicode: general categories Cf, Zl and Zp, and Default_Ignorable_Code_Point). Two names that
 * differ in such a character look the same. Variation selectors are left out: names contain them
 * after symbols.
 */
const INVISIBLE = /[\p{Cf}\p{Zl}\p{Zp}]|(?!\p{Variation_Selector})\p{Default_Ignorable_Code_Point}/u

/** The first invisible character of a name, as `U+200B`; null when the name has none. */
export function invisibleCharacter(name: string): string | null {
  const [found] = INVISIBLE.exec(name) ?? []
  if (found === undefined) return null
  return `U+${found.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`
}
