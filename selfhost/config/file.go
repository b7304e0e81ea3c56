package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// parseFile reads a TOML file: flat, its keys the names of the settings. Its errors quote
// no value, because it may be a secret.
func parseFile(path string, data []byte) (map[string]given, error) {
	if len(data) > maxFile {
		return nil, &Error{Setting: "config", Source: path, Reason: "the file is larger than 1 MiB", Err: ErrSetting}
	}
	var keys map[string]any
	if err := toml.Unmarshal(data, &keys); err != nil {
		where := ""
		var d *toml.DecodeError
		if errors.As(err, &d) {
			row, column := d.Position()
			where = fmt.Sprintf(" at line %d, column %d", row, column)
		}
		return nil, &Error{Setting: "config", Source: path, Reason: "the file is not TOML" + where, Err: ErrSetting}
	}
	all := make(map[string]given, len(keys))
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		s := find(key)
		if s == nil {
			return nil, &Error{Setting: key, Source: path, Reason: "there is no such setting" + similar(key), Err: ErrSetting}
		}
		values, err := fileValues(s, keys[key])
		if err != nil {
			return nil, bad(key, path, err)
		}
		all[key] = given{values, path}
	}
	return all, nil
}

// similar suggests the setting that is spelled in another habit, or misspelled a little.
func similar(key string) string {
	plain := strings.ToLower(strings.ReplaceAll(key, "_", "-"))
	best, least := "", 3
	for i := range settings {
		if d := distance(plain, settings[i].name); d < least {
			best, least = settings[i].name, d
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + best + "?"
}

// distance is the number of bytes to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// fileValues turns a TOML value into what a flag would have said.
func fileValues(s *setting, v any) ([]string, error) {
	array, ok := v.([]any)
	if !ok {
		one, err := fileValue(v)
		if err != nil {
			return nil, err
		}
		return s.split(one), nil
	}
	if !s.list {
		return nil, errors.New("takes one value, not a list")
	}
	values := make([]string, 0, len(array))
	for _, e := range array {
		one, err := fileValue(e)
		if err != nil {
			return nil, err
		}
		values = append(values, one)
	}
	return values, nil
}

func fileValue(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	}
	return "", errors.New("is neither a text, a number, true or false, nor a list of them")
}
