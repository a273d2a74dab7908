package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const patience = 10 * time.Second

// caller posts reviews on one connection, one after the other. It writes
// HTTP/1.1 by itself, since it shares the cores with what it measures:
// net/http's client, with its goroutines for each connection, would take as
// much as a webhook's answer.
type caller struct {
	url    *url.URL
	tls    *tls.Config
	conn   *tls.Conn
	reader *bufio.Reader
	buffer []byte
}

// post gives the answer's body, and whether it allows.
func (c *caller) post(body []byte) ([]byte, bool, error) {
	answer, err := c.exchange(body)
	if err != nil {
		c.close()
		return nil, false, err
	}
	allowed, err := allows(answer)
	return answer, allowed, err
}

func (c *caller) exchange(body []byte) ([]byte, error) {
	if c.conn == nil {
		conn, err := tls.Dial("tcp", c.url.Host, c.tls)
		if err != nil {
			return nil, err
		}
		c.conn, c.reader = conn, bufio.NewReaderSize(conn, 16<<10)
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	c.buffer = fmt.Appendf(c.buffer[:0],
		"POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: hammer\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		c.url.RequestURI(), c.url.Host, len(body))
	c.buffer = append(c.buffer, body...)
	if _, err := c.conn.Write(c.buffer); err != nil {
		return nil, err
	}
	return c.answer()
}

// answer reads one response, which must have a Content-Length.
func (c *caller) answer() ([]byte, error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	status := string(bytes.TrimSpace(line))
	length, last := -1, false
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		name, value, found := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		if !found {
			break
		}
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return nil, err
			}
		case bytes.EqualFold(name, []byte("connection")):
			last = bytes.EqualFold(value, []byte("close"))
		}
	}
	if length < 0 {
		return nil, errors.New("an answer without Content-Length")
	}
	answer := make([]byte, length)
	if _, err := io.ReadFull(c.reader, answer); err != nil {
		return nil, err
	}
	if last {
		c.close()
	}
	if len(status) < 12 || status[9:12] != strconv.Itoa(http.StatusOK) {
		return nil, fmt.Errorf("%s: %s", status, answer)
	}
	return answer, nil
}

func (c *caller) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
	c.conn = nil
}

// allows finds the answer's verdict without reading all the rest.
func allows(answer []byte) (bool, error) {
	_, after, found := bytes.Cut(answer, []byte(`"allowed":`))
	after = bytes.TrimSpace(after)
	switch {
	case found && bytes.HasPrefix(after, []byte("true")):
		return true, nil
	case found && bytes.HasPrefix(after, []byte("false")):
		return false, nil
	}
	return false, fmt.Errorf("no response in %s", answer)
}
