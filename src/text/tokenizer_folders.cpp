#include "daguerre/text/tokenizer_folders.hpp"

#include <string>

#include "daguerre/core/error.hpp"
#include "text/find_folder.hpp"

namespace daguerre::text {

namespace fs = std::filesystem;

fs::path find_tokenizer_folder(std::span<const fs::path> folders, bool (*has_vocabulary)(const fs::path&),
                               std::string_view advice) {
  std::string looked_in;
  for (const auto& folder : folders) {
    for (const auto& place : {folder, folder / "tokenizer", folder / "tokenizer_2", folder / "tokenizer_3"})
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

T5Tokenizer find_t5_tokenizer(std::span<const fs::path> folders, T5Dialect dialect) {
  return T5Tokenizer::load(
      find_tokenizer_folder(folders, T5Tokenizer::is_there,
                            "put spiece.model there (from the folder of T5's tokenizer of any FLUX, Stable "
                            "Diffusion 3 or PixArt)"),
      dialect);
}

}  // namespace daguerre::text
