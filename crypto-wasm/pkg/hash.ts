/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "D9n9D6sZgqQA2hLDj0NgpVZJ21WkcrnzMwI6Dz9zQaA";
