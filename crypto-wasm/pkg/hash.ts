/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "4_jEnxJ0x0pOwPgaVbJZ0GmCP5RjwAxje8ca8j3mxD4";
