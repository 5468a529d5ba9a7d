#include "daguerre/text/clip_tokenizer_files.hpp"

#include <cstddef>
#include <utility>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "text/clip_files.hpp"
#include "text/find_folder.hpp"

namespace daguerre::text {
namespace {

namespace fs = std::filesystem;

fs::path find_clip_folder(std::span<const fs::path> folders) {
  return find_tokenizer_folder(
      folders, has_clip_vocabulary,
      "put vocab.json and merges.txt there (from the folder \"tokenizer\" of any Stable Diffusion), or "
      "bpe_simple_vocab_16e6.txt.gz");
}

}  // namespace

ClipTokenizer find_clip_tokenizer(std::span<const fs::path> folders, ClipPadding padding,
                                  ClipDialect dialect) {
  return ClipTokenizer::load(find_clip_folder(folders), dialect, padding);
}

std::map<std::string, std::string> find_clip_tokenizer_files(std::span<const fs::path> folders,
                                                             ClipPadding padding) {
  const auto files = read_clip_files(find_clip_folder(folders), padding);
  std::vector<const std::string*> tokens(files.vocabulary.size());
  for (const auto& [token, id] : files.vocabulary) tokens[static_cast<std::size_t>(id)] = &token;
  std::vector<bool> is_added(tokens.size());
  for (const auto& token : files.added) is_added[static_cast<std::size_t>(token.id)] = true;
  // In the order of the ids, as published; an object that keeps it would take the square of their number.
  std::string vocabulary, merges = "#version: 0.2\n";
  nlohmann::json added;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    // Those that came with the vocabulary stay in it.
    if (is_added[id] && *tokens[id] != files.start && *tokens[id] != files.end)
      added[*tokens[id]] = id;
    else
      vocabulary +=
          (vocabulary.empty() ? "{" : ",") + nlohmann::json(*tokens[id]).dump() + ":" + std::to_string(id);
  }
  for (const auto& merge : files.merges)
    merges += *tokens[static_cast<std::size_t>(merge.left)] + " " +
              *tokens[static_cast<std::size_t>(merge.right)] + "\n";
  const nlohmann::ordered_json config{{"bos_token", files.start},
                                      {"eos_token", files.end},
                                      {"pad_token", files.pad},
                                      {"unk_token", files.unknown},
                                      {"model_max_length", files.length},
                                      {"add_prefix_space", false},
                                      {"do_lower_case", true},
                                      {"errors", "replace"},
                                      {"tokenizer_class", "CLIPTokenizer"}};
  std::map<std::string, std::string> result{{"vocab.json", vocabulary + "}"},
                                            {"merges.txt", std::move(merges)},
                                            {"tokenizer_config.json", config.dump(2)}};
  if (!added.empty()) result["added_tokens.json"] = added.dump(2);
  return result;
}

}  // namespace daguerre::text
