/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "CIgjfyNk0ncIgz6DV3gDBl0LmeqR2MzbrnpI4svJnb0";
