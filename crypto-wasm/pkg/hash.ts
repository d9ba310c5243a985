/** Replaced by the first build. */
export const CORE_HASH = "";
