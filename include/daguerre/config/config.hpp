#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace daguerre {

/// A JSON configuration (`config.json`, `scheduler_config.json`, `tokenizer_config.json`) that is read
/// strictly.
///
/// Every key that is present must be read, compared or named as harmless; `finish()` refuses the file
/// otherwise. So an option that would change the result and that the code does not know is an error, never
/// silently ignored. Keys beginning with `_` are administrative, and so are those that training code leaves
/// beside a network's own (`leftover_keys`). Python's `Infinity`, `-Infinity` and `NaN` are accepted as
/// numbers. All getters throw ConfigError, naming the file and the key, when a value has the wrong type.
///
/// A written `null` is Python's None, not a key that is left out: false where true or false is expected, no
/// value where one is optional, and an error where a number or a text has a default, since the classes that
/// these files are written by would fail there. Where None means something of its own, ask `is_null` first.
class Config {
 public:
  /// Throws FileError or FormatError (malformed JSON, duplicate keys, nesting deeper than 64, not an object).
  static Config load(const std::filesystem::path& path);
  static Config parse(std::string_view json, std::string source);

  const std::string& source() const noexcept;
  /// The file it was loaded from; empty where it was not.
  const std::filesystem::path& path() const noexcept;
  /// `_class_name`, or the first of `architectures`; empty when the file has neither.
  std::string class_name() const;
  /// True when the key is present and not null. Does not count as reading it.
  bool has(std::string_view key) const;
  /// True when the key is present and null, where that means something else than leaving it out. Likewise.
  bool is_null(std::string_view key) const;

  /// True when the key is present and a list. Likewise.
  bool is_list(std::string_view key) const;

  /// The value of `key`, or `fallback` when it is absent. A null is false; no number and no string is null.
  bool get(std::string_view key, bool fallback) const;
  int get(std::string_view key, int fallback) const;
  double get(std::string_view key, double fallback) const;
  std::string get(std::string_view key, const char* fallback) const;
  /// nullopt when the key is absent or null.
  std::optional<int> optional_int(std::string_view key) const;
  std::optional<double> optional_double(std::string_view key) const;
  std::optional<std::string> optional_string(std::string_view key) const;
  /// The value must be there.
  int require_int(std::string_view key) const;
  std::vector<int> require_ints(std::string_view key) const;
  std::vector<std::string> require_strings(std::string_view key) const;
  /// A list of integers, or one integer standing for `count` equal ones; `fallback` when absent.
  std::vector<int> int_or_list(std::string_view key, std::size_t count, int fallback) const;
  /// The same of integers or lists of them: one for each of `count`, a single number being a list of one.
  std::vector<std::vector<int>> int_or_lists(std::string_view key, std::size_t count, int fallback) const;
  /// A list of truths, or one standing for `count` equal ones; `fallback` when absent. A null is false.
  std::vector<bool> bool_or_list(std::string_view key, std::size_t count, bool fallback) const;
  /// A pair, or one integer standing for two equal ones: height and width. nullopt when absent or null.
  std::optional<std::pair<int, int>> int_or_pair(std::string_view key) const;
  /// A list of numbers; empty when absent or null.
  std::vector<double> doubles(std::string_view key) const;
  /// The JSON text of a value that is an object or array; nullopt when absent or null.
  std::optional<std::string> json(std::string_view key) const;

  /// Checks that `key` is absent or one of `allowed` (each a JSON literal: "false", "\"default\"", "1.0",
  /// "null"); throws ConfigError with the value found and the ones supported. A null is as good as false.
  void expect(std::string_view key, std::initializer_list<std::string_view> allowed) const;
  /// Names keys that cannot change the result (dropout, initialisers, sizes used in training only).
  void ignore(std::initializer_list<std::string_view> keys) const;
  /// Throws ConfigError when a key with a value other than null or false was neither read, expected nor
  /// ignored, and is not one of `leftover_keys`.
  void finish() const;
  /// Keys that were not read and that no class of the writing library has: what training code left there.
  /// They change nothing.
  std::vector<std::string> leftover_keys() const;

  /// A copy without the given keys; nothing in it counts as read.
  Config without(const std::vector<std::string>& keys) const;
  /// A copy in which `overrides` (a JSON object) replace or add keys; nothing in it counts as read.
  Config with(std::string_view overrides) const&;
  Config with(std::string_view overrides) &&;  ///< the same without a copy
  /// The whole as JSON text.
  std::string dump() const;

 private:
  struct State;
  explicit Config(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace daguerre
