#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "daguerre/core/shape.hpp"
#include "daguerre/text/clip_tokenizer.hpp"
#include "text/vocabulary_files.hpp"

namespace daguerre::text {

/// What a CLIP tokenizer's folder says, checked.
struct ClipFiles {
  BytePairEncoder::Vocabulary vocabulary;  ///< with the added tokens; ids are 0 to size - 1
  std::vector<PairMerge> merges;
  std::vector<AddedToken> added;
  std::string start, end, pad, unknown;  ///< each is in the vocabulary
  Index length = 77;
  std::vector<std::filesystem::path> sources;  ///< the files that the vocabulary comes from
};

/// Reads the folder. Throws as ClipTokenizer::load.
ClipFiles read_clip_files(const std::filesystem::path& folder,
                          ClipPadding padding = ClipPadding::as_files_say);

/// Whether the folder has a vocabulary in one of the forms that are read.
bool has_clip_vocabulary(const std::filesystem::path& folder);

}  // namespace daguerre::text
