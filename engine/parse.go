package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// parseJSON decodes one JSON value, keeping only what reads names. A value of
// another shape than the tree expects keeps its type (an array stays an
// array), so that rules see wrong types as wrong types.
func parseJSON(raw []byte, reads *Reads, options ...jsontext.Options) (any, error) {
	return decodeValue(jsontext.NewDecoder(bytes.NewBuffer(raw), options...), reads, false)
}

// parseOnce is parseJSON of what comes from an API server, but for names that
// are read and stand there twice: to look only at those costs nothing.
func parseOnce(raw []byte, reads *Reads) (any, error) {
	return decodeValue(jsontext.NewDecoder(bytes.NewBuffer(raw), trusted...), reads, true)
}

// Documents written by people are checked as strictly as kubectl does; lists
// from an API server were encoded by it and need no second check.
var trusted = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

func decodeValue(dec *jsontext.Decoder, reads *Reads, once bool) (any, error) {
	switch dec.PeekKind() {
	case '{':
		if reads.empty() {
			return map[string]any{}, dec.SkipValue()
		}
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		object := make(map[string]any, 8)
		for dec.PeekKind() != '}' {
			name, err := dec.ReadValue()
			if err != nil {
				return nil, err
			}
			child, key, err := childOf(reads, name)
			if err != nil {
				return nil, err
			}
			if child == nil {
				if err := dec.SkipValue(); err != nil {
					return nil, err
				}
				continue
			}
			value, err := decodeValue(dec, child, once)
			if err != nil {
				return nil, err
			}
			before := len(object)
			if object[key] = value; once && len(object) == before {
				return nil, fmt.Errorf("duplicate object member name %q", key)
			}
		}
		_, err := dec.ReadToken()
		return object, err
	case '[':
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		child := reads.each()
		array := []any{}
		for dec.PeekKind() != ']' {
			if child == nil {
				if err := dec.SkipValue(); err != nil {
					return nil, err
				}
				continue
			}
			value, err := decodeValue(dec, child, once)
			if err != nil {
				return nil, err
			}
			array = append(array, value)
		}
		_, err := dec.ReadToken()
		return array, err
	}
	token, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return token.Bool(), nil
	case '"':
		return token.String(), nil
	case '0':
		return json.Number(token.String()), nil
	}
	return nil, fmt.Errorf("unexpected %s", token.Kind())
}

// childOf looks a quoted member name up without allocating for names that
// nobody reads.
func childOf(reads *Reads, quoted []byte) (*Reads, string, error) {
	plain, err := memberName(quoted)
	if err != nil {
		return nil, "", err
	}
	child := reads.child(plain)
	if child == nil {
		return nil, "", nil
	}
	return child, intern(plain), nil
}

// Names that occur in nearly every document: one string each instead of one a
// document.
var commonNames = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		"apiVersion", "kind", "metadata", "name", "namespace", "generateName", "uid", "labels", "annotations",
		"ownerReferences", "controller", "creationTimestamp", "spec", "template", "containers", "initContainers",
		"ephemeralContainers", "image", "ports", "containerPort", "hostPort", "protocol", "resources", "limits",
		"requests", "cpu", "memory", "securityContext", "privileged", "windowsOptions", "hostProcess", "volumes",
		"reference", "hostNetwork", "items", "type", "port", "nodePort", "targetPort", "args", "command", "env", "value",
		"valueFrom", "volumeMounts", "mountPath", "lifecycle", "livenessProbe", "readinessProbe", "startupProbe",
		"imagePullPolicy", "imagePullSecrets", "restartPolicy", "tolerations", "serviceAccount", "serviceAccountName",
		"nodeName", "nodeSelector", "affinity", "priorityClassName", "managedFields", "projected", "configMap", "secret",
		"emptyDir", "hostPath", "downwardAPI", "persistentVolumeClaim",
	} {
		names[name] = name
	}
	return names
}()

func intern(name []byte) string {
	if known, ok := commonNames[string(name)]; ok {
		return known
	}
	return string(name)
}
