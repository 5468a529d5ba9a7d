#pragma once

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <nlohmann/json.hpp>

namespace daguerre::weights {

/// Deepest nesting of objects and arrays that any JSON input may have.
inline constexpr std::size_t max_json_depth = 64;

/// Streaming JSON handler that refuses what `nlohmann::json::parse` lets pass: duplicate keys, unlimited
/// nesting, text behind a NUL byte. A derived class receives the values through `null`, `boolean`,
/// `number_*`, `string` and the four hooks below.
class StrictSax : public nlohmann::json_sax<nlohmann::json> {
 public:
  /// `who` speaks in messages, `source` is the file or what stands for it.
  StrictSax(std::string_view who, std::string_view source) : who_(who), source_(source) {}

  /// Parses the whole of `text`. Throws FormatError naming the source and the byte offset.
  void parse(std::string_view text);

  bool start_object(std::size_t) final;
  bool key(std::string& name) final;
  bool end_object() final;
  bool start_array(std::size_t) final;
  bool end_array() final;
  bool binary(nlohmann::json::binary_t&) final { return false; }
  bool parse_error(std::size_t position, const std::string& last_token,
                   const nlohmann::detail::exception& error) final;

 protected:
  virtual void on_start_object() = 0;
  virtual void on_key(const std::string& name) = 0;
  virtual void on_start_array() = 0;
  /// An object or array ends.
  virtual void on_end() = 0;

  /// Throws FormatError: "[who] source: byte N: problem".
  [[noreturn]] void fail(std::string_view problem) const { fail_at(offset_, problem); }

 private:
  [[noreturn]] void fail_at(std::size_t offset, std::string_view problem) const;
  void enter();

  std::string_view who_;
  std::string_view source_;
  std::size_t offset_ = 0;  // bytes the lexer has taken
  std::size_t depth_ = 0;
  std::vector<std::unordered_set<std::string>> keys_;  // of every open object
};

}  // namespace daguerre::weights
