#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <unistd.h>

#include "daguerre/core/error.hpp"
#include "daguerre/text/clip_tokenizer.hpp"

// The files vocab.json, merges.txt, tokenizer_config.json, special_tokens_map.json and tokenizer.json, with a
// byte 0x1E between them, an empty one being absent; what loads must encode and decode.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fs = std::filesystem;
  static const fs::path folder = [] {
    auto path = fs::temp_directory_path() / ("daguerre-fuzz-" + std::to_string(::getpid()));
    fs::create_directories(path);
    return path;
  }();
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  for (const auto* name :
       {"vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"}) {
    const auto end = rest.find('\x1E');
    fs::remove(folder / name);
    if (!rest.substr(0, end).empty()) std::ofstream(folder / name, std::ios::binary) << rest.substr(0, end);
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
  }
  try {
    const auto tokenizer = daguerre::text::ClipTokenizer::load(folder);
    const auto window = tokenizer.window("a cat, 2 dogs <|endoftext|> \xC3\xA9");
    if (static_cast<daguerre::Index>(window.ids.size()) != tokenizer.length()) __builtin_trap();
    (void)tokenizer.decode(window.ids);
  } catch (const daguerre::Error&) {
  }
  return 0;
}
