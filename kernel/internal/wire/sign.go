package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// remembered is how many signatures a Signer keeps to refuse replays: the figure of jupyter_client's digest_history.
const remembered = 1 << 16

// Signer signs messages with HMAC-SHA256 and checks those that arrive. It may be used by several goroutines.
type Signer struct {
	key []byte

	mu   sync.Mutex
	seen map[[sha256.Size]byte]struct{}
	ring [][sha256.Size]byte // the signatures in seen, oldest at next once full
	next int
}

// NewSigner returns a signer for the key of the connection file. With an empty key nothing is signed or checked.
func NewSigner(key string) *Signer {
	return &Signer{key: []byte(key), seen: map[[sha256.Size]byte]struct{}{}}
}

func (s *Signer) sum(parts [][]byte) (digest [sha256.Size]byte) {
	mac := hmac.New(sha256.New, s.key)
	for _, p := range parts {
		mac.Write(p)
	}
	mac.Sum(digest[:0])
	return digest
}

// Sign returns the signature of the four parts in hexadecimal.
func (s *Signer) Sign(parts [][]byte) []byte {
	if len(s.key) == 0 {
		return nil
	}
	digest := s.sum(parts)
	return hex.AppendEncode(nil, digest[:])
}

// Check compares a signature in constant time and refuses one that was accepted before.
func (s *Signer) Check(signature []byte, parts [][]byte) error {
	if len(s.key) == 0 {
		return nil
	}
	digest := s.sum(parts)
	if !hmac.Equal(signature, hex.AppendEncode(nil, digest[:])) {
		return ErrSignature
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, dup := s.seen[digest]; dup {
		return ErrReplay
	}
	s.seen[digest] = struct{}{}
	if len(s.ring) < remembered {
		s.ring = append(s.ring, digest)
		return nil
	}
	delete(s.seen, s.ring[s.next])
	s.ring[s.next] = digest
	s.next = (s.next + 1) % remembered
	return nil
}
