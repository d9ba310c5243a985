// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The newest checkpoint of every publisher's logs.
/// @notice A publisher can only go forward: a smaller tree is refused, and so is a second checkpoint of the same size. Whoever
/// sends is the publisher, so one registry serves everybody and nobody writes for another. It has no owner and holds nothing.
/// Source: contracts/spec/anchors.md#registry.
contract AnchorRegistry {
    /// The checkpoint's hash stands first, in a slot of its own: it is what proofs of the state show.
    struct Head {
        bytes32 checkpointHash;
        uint64 size;
        uint64 time;
    }

    /// Variable 0: proofs count on its place.
    mapping(address publisher => mapping(bytes32 logId => Head)) private heads;

    event Anchored(
        address indexed publisher, bytes32 indexed logId, uint64 size, bytes32 root, bytes32 checkpointHash
    );

    /// The log was larger already.
    error Rollback(uint64 recorded);
    /// The log had another checkpoint of this size already.
    error Fork(bytes32 recorded);
    /// There is nothing to anchor: a log without entries, or no hash.
    error Empty();

    /// Record a checkpoint of the sender's log. The newest one again changes nothing.
    /// @param logId SHA-256 of the log's origin
    /// @param root of the tree, for readers of events; the checkpoint's text has it, so its hash covers it
    /// @param checkpointHash SHA-256 of the checkpoint's text
    function anchor(bytes32 logId, uint64 size, bytes32 root, bytes32 checkpointHash) external {
        Head storage head = heads[msg.sender][logId];
        uint64 recorded = head.size;
        if (size == 0 || checkpointHash == 0) revert Empty();
        if (size < recorded) revert Rollback(recorded);
        if (size == recorded) {
            if (checkpointHash != head.checkpointHash) revert Fork(head.checkpointHash);
            return;
        }
        head.checkpointHash = checkpointHash;
        head.size = size;
        head.time = uint64(block.timestamp);
        emit Anchored(msg.sender, logId, size, root, checkpointHash);
    }

    /// The newest checkpoint of a publisher's log; zeros where there is none.
    function newest(address publisher, bytes32 logId)
        external
        view
        returns (uint64 size, bytes32 checkpointHash, uint64 time)
    {
        Head storage head = heads[publisher][logId];
        return (head.size, head.checkpointHash, head.time);
    }
}
