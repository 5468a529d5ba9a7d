#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/piece_index.hpp"
#include "text/vocabulary_files.hpp"

namespace daguerre::text {

/// Cuts added tokens out of texts: the leftmost, of several the longest. Immutable.
class AddedTokens {
 public:
  AddedTokens() = default;
  /// Of two of the same content the later one counts. Throws FormatError, in the name of `source`, for one
  /// that is empty or longer than 256 bytes.
  AddedTokens(std::vector<AddedToken> tokens, const std::string& source);

  struct Part {
    std::string_view text;
    std::int32_t id = -1;  ///< of the token; -1: text between tokens, which is not empty
  };
  /// The whole of a text. Special tokens are plain text unless `parse_special`. A token takes white space
  /// around it along as its flags say, and is passed over where it must stand alone and does not.
  std::vector<Part> cut(std::string_view text, bool parse_special) const;

  const std::vector<AddedToken>& tokens() const noexcept { return tokens_; }

 private:
  /// The token that a text begins with; nullptr where there is none.
  const AddedToken* longest(std::string_view text, bool parse_special) const;

  std::vector<AddedToken> tokens_;
  PieceIndex index_;
};

}  // namespace daguerre::text
