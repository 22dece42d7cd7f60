/** The part of undici's inside that `known-names.ts` uses. */
declare module 'undici/lib/core/constants.js' {
  const constants: {
    /** header names, as they are and in lower case -> in lower case */
    headerNameLowerCasedRecord: Record<string, string>;
  };
  export default constants;
}
