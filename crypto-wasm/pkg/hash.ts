/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "miEH0Xr9CMNTn05tKS0BRro66hvc9z9pazXI4Jams0s";
