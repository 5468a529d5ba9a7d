#include "text/simple_vocabulary.hpp"

#include <utility>

#include "core/files.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/text/unicode.hpp"
#include "text/gzip.hpp"

namespace daguerre::text {
namespace {

constexpr std::size_t most_merges = 49152 - 256 - 2;
constexpr std::size_t largest_vocabulary_file = std::size_t{8} << 20;

std::string read_plain_or_gzip(const std::filesystem::path& path) {
  const auto bytes = read_file("tokenizer", path, largest_vocabulary_file);
  if (is_gzip(bytes)) return gunzip(bytes, largest_vocabulary_file, path.string());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The characters that stand for bytes, those that are visible as they are before the others.
std::vector<std::string> byte_characters() {
  std::vector<std::string> visible, others;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t character = byte_to_char(static_cast<unsigned char>(byte));
    std::string text;
    append_utf8(text, character);
    (character == static_cast<char32_t>(byte) ? visible : others).push_back(std::move(text));
  }
  visible.insert(visible.end(), others.begin(), others.end());
  return visible;
}

}  // namespace

BytePairFiles read_simple_vocabulary(const std::filesystem::path& path) {
  const std::string source = path.string(), text = read_plain_or_gzip(path);
  BytePairFiles files;
  const auto add = [&](std::string token) {
    const auto id = static_cast<std::int32_t>(files.vocabulary.size());
    return files.vocabulary.emplace(std::move(token), id);
  };
  const auto characters = byte_characters();
  for (const auto& character : characters) add(character);
  for (const auto& character : characters) add(character + std::string(end_of_word));
  std::string_view rest = text;
  if (rest.find("#version") > rest.find('\n')) malformed(source, "expected \"#version\" in its first line");
  for (std::size_t line = 1; !rest.empty() && files.merges.size() < most_merges; ++line) {
    const std::size_t end = rest.find('\n');
    std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (pair.ends_with('\r')) pair.remove_suffix(1);
    if (line == 1 || (pair.empty() && rest.empty())) continue;
    const auto fail = [&](const std::string& problem) {
      malformed(source + " line " + std::to_string(line), problem);
    };
    const std::size_t space = pair.find(' ');
    if (space == pair.npos || space == 0 || space + 1 == pair.size() ||
        pair.find(' ', space + 1) != pair.npos)
      fail("expected two pieces with one space between them, found " + in_quotes(pair));
    const std::string left(pair.substr(0, space)), right(pair.substr(space + 1));
    const auto left_id = files.vocabulary.find(left), right_id = files.vocabulary.find(right);
    if (left_id == files.vocabulary.end() || right_id == files.vocabulary.end())
      fail("piece " + in_quotes(left_id == files.vocabulary.end() ? left : right) +
           " comes from no line before");
    const PairMerge merge{left_id->second, right_id->second,
                          static_cast<std::int32_t>(files.vocabulary.size())};
    if (!add(left + right).second) fail(in_quotes(pair) + " makes what there is already");
    files.merges.push_back(merge);
  }
  add("<|startoftext|>");
  add("<|endoftext|>");
  return files;
}

}  // namespace daguerre::text
