/** Written by `npm run registry` from AnchorRegistry.sol with solc 0.8.37+commit.f401782d.Emscripten.clang; never edited. */
export const REGISTRY_SOURCE = "2e3e8e4e028567e56f21d356070278d281bbe2ae91b2083afa5e435bc0fbb01c";

/** Keccak-256 of the code of a deployed registry. */
export const REGISTRY_CODE_HASH = "0xea21e44598c56a09d9d599953047944f764c41a685f24458612e913876092147";

/** What a deployment sends. */
export const REGISTRY_BYTECODE =
  "0x6080604052348015600f57600080fd5b5061033b8061001f6000396000f3fe608060405234801561001057600080fd5b50600436106100365760003560e01c8063144e1b0f1461003b5780637f00e393146100ca575b600080fd5b61009e6100493660046102ac565b73ffffffffffffffffffffffffffffffffffffffff91909116600090815260208181526040808320938352929052206001810154905467ffffffffffffffff8083169391926801000000000000000090041690565b6040805167ffffffffffffffff9485168152602081019390935292168183015290519081900360600190f35b6100dd6100d83660046102f1565b6100df565b005b336000908152602081815260408083208784529091529020600181015467ffffffffffffffff9081169085161580610115575082155b1561014c576040517f3db2a12a00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b8067ffffffffffffffff168567ffffffffffffffff1610156101ab576040517f03404b6900000000000000000000000000000000000000000000000000000000815267ffffffffffffffff821660048201526024015b60405180910390fd5b8067ffffffffffffffff168567ffffffffffffffff160361020d57815483146102065781546040517f89d7f7c200000000000000000000000000000000000000000000000000000000815260048101919091526024016101a2565b50506102a6565b82825560018201805467ffffffffffffffff8781167fffffffffffffffffffffffffffffffff000000000000000000000000000000009092168217680100000000000000004292909216919091021790915560408051918252602082018690528101849052869033907fa58519225e4f9c8267cd9793b73fec57d8d8f98424e8f206c6d7288d6fe037e79060600160405180910390a350505b50505050565b600080604083850312156102bf57600080fd5b823573ffffffffffffffffffffffffffffffffffffffff811681146102e357600080fd5b946020939093013593505050565b6000806000806080858703121561030757600080fd5b84359350602085013567ffffffffffffffff8116811461032657600080fd5b9396939550505050604082013591606001359056";

export const REGISTRY_ABI = [
  {
    "inputs": [],
    "name": "Empty",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "recorded",
        "type": "bytes32"
      }
    ],
    "name": "Fork",
    "type": "error"
  },
  {
    "inputs": [
      {
        "internalType": "uint64",
        "name": "recorded",
        "type": "uint64"
      }
    ],
    "name": "Rollback",
    "type": "error"
  },
  {
    "anonymous": false,
    "inputs": [
      {
        "indexed": true,
        "internalType": "address",
        "name": "publisher",
        "type": "address"
      },
      {
        "indexed": true,
        "internalType": "bytes32",
        "name": "logId",
        "type": "bytes32"
      },
      {
        "indexed": false,
        "internalType": "uint64",
        "name": "size",
        "type": "uint64"
      },
      {
        "indexed": false,
        "internalType": "bytes32",
        "name": "root",
        "type": "bytes32"
      },
      {
        "indexed": false,
        "internalType": "bytes32",
        "name": "checkpointHash",
        "type": "bytes32"
      }
    ],
    "name": "Anchored",
    "type": "event"
  },
  {
    "inputs": [
      {
        "internalType": "bytes32",
        "name": "logId",
        "type": "bytes32"
      },
      {
        "internalType": "uint64",
        "name": "size",
        "type": "uint64"
      },
      {
        "internalType": "bytes32",
        "name": "root",
        "type": "bytes32"
      },
      {
        "internalType": "bytes32",
        "name": "checkpointHash",
        "type": "bytes32"
      }
    ],
    "name": "anchor",
    "outputs": [],
    "stateMutability": "nonpayable",
    "type": "function"
  },
  {
    "inputs": [
      {
        "internalType": "address",
        "name": "publisher",
        "type": "address"
      },
      {
        "internalType": "bytes32",
        "name": "logId",
        "type": "bytes32"
      }
    ],
    "name": "newest",
    "outputs": [
      {
        "internalType": "uint64",
        "name": "size",
        "type": "uint64"
      },
      {
        "internalType": "bytes32",
        "name": "checkpointHash",
        "type": "bytes32"
      },
      {
        "internalType": "uint64",
        "name": "time",
        "type": "uint64"
      }
    ],
    "stateMutability": "view",
    "type": "function"
  }
] as const;
