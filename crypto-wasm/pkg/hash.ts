/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "GW9vnI2YWHg7P1dsowZGIidYHQO1xeyE5ZPGH6I83Zo";
