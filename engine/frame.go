package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// protocolVersion is raised whenever a frame changes its meaning. Both sides
// compare it in the hello exchange and refuse to talk across versions.
const protocolVersion = 7

// Upper bounds for one frame. A larger one is a broken peer, not a request.
const (
	maxHeader = 256 << 20
	maxBody   = 1 << 30
)

// Frame is one message: a JSON header and a body of raw bytes. On the wire it
// is two big-endian uint32 lengths, then the header, then the body.
type Frame struct {
	Header []byte
	Body   []byte
	begun  time.Time // when its first bytes came; a large body takes a while
}

func readFrame(r io.Reader) (Frame, error) {
	var lengths [8]byte
	if _, err := io.ReadFull(r, lengths[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return Frame{}, fmt.Errorf("frame cut short: %w", err)
		}
		return Frame{}, err
	}
	begun := time.Now()
	headerLen := binary.BigEndian.Uint32(lengths[:4])
	bodyLen := binary.BigEndian.Uint32(lengths[4:])
	if headerLen > maxHeader || bodyLen > maxBody {
		return Frame{}, fmt.Errorf("frame too large: header %d, body %d bytes", headerLen, bodyLen)
	}
	buf := make([]byte, int(headerLen)+int(bodyLen))
	if _, err := io.ReadFull(r, buf); err != nil {
		// An end right after the lengths is io.EOF, which would pass for the
		// orderly end between two frames.
		return Frame{}, fmt.Errorf("frame cut short: %w", io.ErrUnexpectedEOF)
	}
	return Frame{Header: buf[:headerLen:headerLen], Body: buf[headerLen:], begun: begun}, nil
}

func writeFrame(w io.Writer, header any, body []byte) error {
	payload, err := json.Marshal(header)
	if err != nil {
		return err
	}
	if len(payload)+len(body) > maxHeader {
		return fmt.Errorf("answer too large: %d bytes", len(payload)+len(body))
	}
	var lengths [8]byte
	binary.BigEndian.PutUint32(lengths[:4], uint32(len(payload)))
	binary.BigEndian.PutUint32(lengths[4:], uint32(len(body)))
	for _, part := range [][]byte{lengths[:], payload, body} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}
