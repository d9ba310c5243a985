/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "CLYXwgMgsHzOJF7ACwyrTI7Vl_pwdwS5cOJE1Ofn_4U";
