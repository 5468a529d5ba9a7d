#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <unistd.h>

#include "daguerre/core/error.hpp"
#include "daguerre/media/infotext.hpp"
#include "daguerre/text/clip_tokenizer.hpp"
#include "daguerre/text/compel.hpp"
#include "daguerre/text/extra_networks.hpp"
#include "daguerre/text/prompt_schedule.hpp"
#include "daguerre/text/prompt_weights.hpp"
#include "daguerre/text/prompt_windows.hpp"

namespace {

/// A tokenizer of all bytes and a few pairs.
daguerre::text::ClipTokenizer make_tokenizer(daguerre::text::ClipDialect dialect) {
  namespace fs = std::filesystem;
  const auto folder = fs::temp_directory_path() / ("daguerre-fuzz-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  std::string tokens;
  int id = 0;
  const auto add = [&](const std::string& token) {
    tokens += (tokens.empty() ? "{\"" : ",\"") + token + "\":" + std::to_string(id++);
  };
  for (const auto* suffix : {"", "</w>"}) {
    for (char letter = 'a'; letter <= 'z'; ++letter) add(letter + std::string(suffix));
    for (char digit = '0'; digit <= '9'; ++digit) add(digit + std::string(suffix));
  }
  for (const auto* token : {"ca", "cat</w>", "aa", "aaa", "<|startoftext|>", "<|endoftext|>"}) add(token);
  std::ofstream(folder / "vocab.json") << tokens << "}";
  std::ofstream(folder / "merges.txt") << "#version: 0.2\nc a\nca t</w>\na a\naa a\n";
  auto tokenizer = daguerre::text::ClipTokenizer::load(folder, dialect);
  fs::remove_all(folder);
  return tokenizer;
}

/// What a prompt language refuses, it refuses by ArgumentError.
template <class Read>
void read_language(const Read& read) {
  try {
    read();
  } catch (const daguerre::ArgumentError&) {
  }
}

void read_languages(std::string_view text, const daguerre::text::ClipTokenizer& tokenizer) {
  using namespace daguerre::text;
  static const auto words = window_tokenizer(tokenizer);
  const std::vector<NamedVectors> named{{"cat", 2}, {"a", 9}};
  const auto check = [](const std::vector<TokenWindow>& windows) {
    for (const auto& window : windows)
      if (window.ids.size() != 77 || window.weights.size() != 77) __builtin_trap();
  };
  read_language([&] { check(a1111_windows(parse_a1111_attention(text), words, 20, named)); });
  read_language([&] { check(comfyui_windows(parse_comfyui_weights(text), words, named)); });
  read_language([&] {
    for (const auto& part : parse_compel(text).parts)
      for (const auto& prompt : part.prompts)
        check(compel_windows(prompt, words, false, LongText::sentences, named).windows);
  });
  read_language([&] { check({diffusers_window(text, words, named)}); });
  read_language([&] { (void)parse_a1111_schedule(text, {.steps = 5}); });
  read_language([&] {
    for (const auto& network : take_extra_networks(text).networks) (void)lora_tag(network);
  });
  (void)parse_a1111_and(text);
}

}  // namespace

// A prompt, or the settings that a picture holds: no text is refused.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using daguerre::text::ClipDialect;
  static const auto huggingface = make_tokenizer(ClipDialect::huggingface);
  static const auto openai = make_tokenizer(ClipDialect::openai);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto* tokenizer : {&huggingface, &openai}) {
    const auto window = tokenizer->window(text);
    if (window.ids.size() != 77) __builtin_trap();
    (void)tokenizer->decode(tokenizer->encode(text));
  }
  read_languages(text, huggingface);
  const auto infotext = daguerre::parse_infotext(text);
  (void)daguerre::to_string(infotext);
  return 0;
}
