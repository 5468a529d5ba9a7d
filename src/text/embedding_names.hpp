#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre::text {

/// A part of a text: plain, or one of several names.
struct NamedPart {
  std::string_view text;
  std::optional<std::size_t> name{};
};

/// `text` cut where names stand, from left to right, the longest first (transformers' `Trie.split`). Empty
/// names are never found.
std::vector<NamedPart> split_at_names(std::string_view text, const std::vector<std::string>& names);

}  // namespace daguerre::text
