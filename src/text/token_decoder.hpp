#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "text/decoded_text.hpp"

namespace daguerre::text {

/// How a tokenizer.json's tokens become text. Immutable.
class TokenDecoder {
 public:
  /// Of no decoder: tokens with a space between them.
  TokenDecoder() = default;
  /// From `decoder`: ByteLevel; Metaspace; Replace, ByteFallback, Fuse and Strip at the beginning, in this
  /// order. Throws ConfigError naming the source and the step for another one.
  TokenDecoder(const nlohmann::json& json, const std::string& source);
  /// GPT-2's bytes.
  static TokenDecoder byte_level();

  DecodedText begin() const { return DecodedText(reading_, strip_); }
  /// Adds one token; `first`: none was added before. Throws ConfigError where it grows beyond `most_grown`.
  void add(std::string_view token, bool first, DecodedText& text) const;

 private:
  void read_step(const nlohmann::json& step, const std::string& source);

  std::string source_;
  ByteReading reading_ = ByteReading::whole_runs;
  bool byte_level_ = false, byte_pieces_ = false, fused_ = false;
  bool spaces_between_ = true;       // no decoder at all
  bool drops_first_spaces_ = false;  // Metaspace
  std::size_t strip_ = 0;
  std::vector<std::pair<std::string, std::string>> replacements_;
};

}  // namespace daguerre::text
