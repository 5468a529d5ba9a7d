#include "daguerre/text/tokenizer_folders.hpp"

#include <array>
#include <string>

#include "config/json.hpp"
#include "daguerre/core/error.hpp"
#include "text/find_folder.hpp"
#include "text/tokenizer_config.hpp"

namespace daguerre::text {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t largest_file = std::size_t{64} << 20;

std::array<fs::path, 4> tokenizer_places(const fs::path& folder) {
  return {folder, folder / "tokenizer", folder / "tokenizer_2", folder / "tokenizer_3"};
}

}  // namespace

fs::path find_tokenizer_folder(std::span<const fs::path> folders, bool (*has_vocabulary)(const fs::path&),
                               std::string_view advice) {
  std::string looked_in;
  for (const auto& folder : folders) {
    for (const auto& place : tokenizer_places(folder))
      if (has_vocabulary(place)) return place;
    looked_in += (looked_in.empty() ? "" : ", ") + folder.string();
  }
  throw FileError("tokenizer",
                  "there is no tokenizer: the model brings none, and none is in " +
                      (looked_in.empty() ? std::string("a folder, for none is named") : looked_in) + "; " +
                      std::string(advice));
}

std::vector<fs::path> tokenizer_folders(const fs::path& given, const fs::path& model,
                                        const fs::path& fallback) {
  std::vector<fs::path> result;
  if (!given.empty()) result.push_back(given);
  if (!model.empty()) result.push_back(model.has_parent_path() ? model.parent_path() : fs::path("."));
  if (!fallback.empty()) result.push_back(fallback);
  return result;
}

namespace {

fs::path find_t5_folder(std::span<const fs::path> folders) {
  return find_tokenizer_folder(
      folders, T5Tokenizer::is_there,
      "put spiece.model there (from the folder of T5's tokenizer of any FLUX, Stable "
      "Diffusion 3 or PixArt)");
}

}  // namespace

T5Tokenizer find_t5_tokenizer(std::span<const fs::path> folders, T5Dialect dialect) {
  return T5Tokenizer::load(find_t5_folder(folders), dialect);
}

bool has_t5_tokenizer(const fs::path& folder) {
  for (const auto& place : tokenizer_places(folder))
    if (T5Tokenizer::is_there(place)) return true;
  return false;
}

std::map<std::string, std::string> find_t5_tokenizer_files(std::span<const fs::path> folders) {
  const auto folder = find_t5_folder(folders);
  // What cannot be read must not be handed on.
  T5Tokenizer::load(folder);
  std::map<std::string, std::string> result;
  for (const auto* name :
       {"spiece.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"})
    if (is_there(folder / name)) result[name] = read_text_file(folder / name, largest_file);
  return result;
}

}  // namespace daguerre::text
