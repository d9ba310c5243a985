// Command interop reads a log over HTTP with code that is not ours (golang.org/x/mod/sumdb) and says whether it agrees.
//
//	interop -url http://127.0.0.1:PORT/ -key VKEY -proofs 10000 [-old FILE] [-entry FILE] [-header "Name: value"]
//
// It opens the checkpoint as a signed note, re-derives every leaf and the root from the entry bundles, reads every leaf
// through TileHashReader, verifies random proofs of inclusion and consistency, and, given older signed
// checkpoints (one file each), that the head extends them, and that each given entry is in it. One line of counts, or what differs and exit code 1.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height   = 8
	maxBytes = 17 << 20 // a bundle of 256 entries of 65,535 bytes
)

type multi []string

func (m *multi) String() string { return strings.Join(*m, ",") }
func (m *multi) Set(value string) error {
	*m = append(*m, value)
	return nil
}

// remote is a log over HTTP in the layout of C2SP tlog-tiles, as a tlog.TileReader.
type remote struct {
	url     string
	headers multi
	client  http.Client
	mu      sync.Mutex
	tiles   map[tlog.Tile][]byte
	reads   int
}

func (r *remote) get(path string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, r.url+path, nil)
	if err != nil {
		return nil, err
	}
	for _, header := range r.headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: HTTP %d", path, answer.StatusCode)
	}
	return io.ReadAll(io.LimitReader(answer.Body, maxBytes))
}

// name is the tile's path in C2SP's layout; tlog.Tile.Path puts the height into it.
func name(tile tlog.Tile) string {
	return strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
}

func (r *remote) Height() int                                { return height }
func (r *remote) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (r *remote) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data, known := r.tiles[tile]
		if !known {
			var err error
			if data, err = r.get(name(tile)); err != nil {
				return nil, err
			}
			r.tiles[tile] = data
			r.reads++
		}
		all[i] = data
	}
	return all, nil
}

// memory is a tlog.HashReader over all hashes of a tree.
type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = m[index]
	}
	return found, nil
}

// head is the tree of a signed checkpoint.
func head(signed []byte, verifiers note.Verifiers, origin string) (tlog.Tree, error) {
	opened, err := note.Open(signed, verifiers)
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != origin {
		return tlog.Tree{}, errors.New("no checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, errors.New("no root")
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}

// entries are the leaf hashes of all entries, re-derived from the bundles.
func (r *remote) entries(size int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, 0, size)
	for first := int64(0); first < size; first += 1 << height {
		width := min(size-first, 1<<height)
		// The name of a tile of level 0, under entries.
		tile := tlog.Tile{H: height, L: 0, N: first >> height, W: int(width)}
		bundle, err := r.get(strings.Replace(name(tile), "tile/0/", "tile/entries/", 1))
		if err != nil {
			return nil, err
		}
		for range width {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return nil, fmt.Errorf("bundle at %d ends within an entry", first)
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			hashes = append(hashes, tlog.RecordHash(bundle[2:end]))
			bundle = bundle[end:]
		}
		if len(bundle) != 0 {
			return nil, fmt.Errorf("bundle at %d holds more than its entries", first)
		}
	}
	return hashes, nil
}

func run() error {
	var headers, olds, wanted multi
	url := flag.String("url", "", "address of the log, with its last slash")
	key := flag.String("key", "", "verifier key of the log")
	proofs := flag.Int("proofs", 10_000, "random proofs of each kind together")
	seed := flag.Int64("seed", 1, "of the random choice")
	flag.Var(&headers, "header", "sent with every request")
	flag.Var(&olds, "old", "file of an older signed checkpoint")
	flag.Var(&wanted, "entry", "file of an entry that must be in the log")
	flag.Parse()

	verifier, err := note.NewVerifier(*key)
	if err != nil {
		return err
	}
	verifiers := note.VerifierList(verifier)
	log := &remote{url: *url, headers: headers, client: http.Client{Timeout: 30 * time.Second}, tiles: map[tlog.Tile][]byte{}}
	signed, err := log.get("checkpoint")
	if err != nil {
		return err
	}
	tree, err := head(signed, verifiers, verifier.Name())
	if err != nil {
		return err
	}
	leaves, err := log.entries(tree.N)
	if err != nil {
		return err
	}

	// The head's root out of the entries alone. TileHashReader does not authenticate every tile that it reads of a small
	// tree, so an entry and its leaf changed together are found here.
	var stored memory
	for index, leaf := range leaves {
		more, err := tlog.StoredHashesForRecordHash(int64(index), leaf, stored)
		if err != nil {
			return err
		}
		stored = append(stored, more...)
	}
	if root, err := tlog.TreeHash(tree.N, stored); err != nil || root != tree.Hash {
		return errors.New("the entries are not those of the head")
	}

	hashes := tlog.TileHashReader(tree, log)
	for index, leaf := range leaves {
		read, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(index))})
		if err != nil {
			return err
		}
		if read[0] != leaf {
			return fmt.Errorf("leaf %d is not its entry's", index)
		}
	}

	random := rand.New(rand.NewSource(*seed))
	for range *proofs / 2 {
		index := random.Int63n(tree.N)
		record, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(record, tree.N, tree.Hash, index, leaves[index]); err != nil {
			return err
		}
		older := 1 + random.Int63n(tree.N)
		oldRoot, err := tlog.TreeHash(older, hashes)
		if err != nil {
			return err
		}
		consistent, err := tlog.ProveTree(tree.N, older, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(consistent, tree.N, tree.Hash, older, oldRoot); err != nil {
			return err
		}
	}

	for _, path := range olds {
		signed, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		older, err := head(signed, verifiers, verifier.Name())
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		root, err := tlog.TreeHash(older.N, hashes)
		if err != nil {
			return err
		}
		if root != older.Hash {
			return fmt.Errorf("%s: the head does not extend it", path)
		}
	}
	for _, path := range wanted {
		entry, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		index := int64(slices.Index(leaves, tlog.RecordHash(entry)))
		if index < 0 {
			return fmt.Errorf("%s: not in the log", path)
		}
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
			return err
		}
		fmt.Printf("entry %d: %s\n", index, path)
	}
	fmt.Printf("ok: %d leaves, %d proofs, %d tiles, %d older heads\n", tree.N, *proofs/2*2, log.reads, len(olds))
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
