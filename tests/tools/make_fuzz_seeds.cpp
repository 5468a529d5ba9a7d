// Writes the corpora that the programs of tests/fuzz begin with: one folder for each, of valid and hostile
// files.
//
//     make_fuzz_seeds FOLDER

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "daguerre/media/image.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/hostile.hpp"
#include "support/sentencepiece_file.hpp"
#include "support/tiny_checkpoint.hpp"

namespace fs = std::filesystem;
using namespace daguerre::test;

namespace {

/// Larger ones only slow a fuzzer down.
constexpr std::size_t largest_seed = 1 << 14;

class Corpus {
 public:
  explicit Corpus(fs::path folder) : folder_(std::move(folder)) { fs::create_directories(folder_); }
  void add(const std::string& content) {
    if (content.size() > largest_seed) return;
    std::ofstream file(folder_ / std::to_string(count_++), std::ios::binary);
    file << content;
    if (!file.flush()) throw std::runtime_error("cannot write into " + folder_.string());
  }

 private:
  fs::path folder_;
  int count_ = 0;
};

void make_seeds(const fs::path& folder) {
  const fs::path model = golden("pipelines/sd1");
  Corpus safetensors(folder / "safetensors_fuzz");
  for (const auto& file : hostile_safetensors(model))
    for (const char options : {'\0', '\1'}) safetensors.add(options + file.content);
  safetensors.add(
      '\0' +
      safetensors_text(R"({"__metadata__":{"a":"b"},"x":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}})",
                       "1234"));

  Corpus gguf(folder / "gguf_fuzz");
  for (const auto& file : hostile_gguf()) gguf.add('\0' + file.content);
  for (const auto& entry : fs::directory_iterator(golden("gguf/container")))
    if (entry.path().extension() == ".gguf") gguf.add('\0' + read_file(entry.path()));

  Corpus configs(folder / "config_fuzz"), schedulers(folder / "scheduler_fuzz");
  for (const auto& file : hostile_configs(model))
    (file.path.starts_with("scheduler") ? schedulers : configs).add(file.content);
  for (const auto* name : {"unet", "vae", "text_encoder"})
    configs.add(read_file(model / name / "config.json"));
  schedulers.add(read_file(model / "scheduler/scheduler_config.json"));
  for (const auto& scheduler : golden_cases("schedulers"))
    if (fs::exists(scheduler / "scheduler_config.json"))
      schedulers.add(read_file(scheduler / "scheduler_config.json"));

  Corpus tokenizers(folder / "tokenizer_fuzz");
  const std::string separator(1, '\x1E');
  for (const std::string config : {"{}", R"({"model_max_length":8,"pad_token":"a"})",
                                   R"({"added_tokens_decoder":{"5":{"content":"new"}}})"})
    tokenizers.add(R"({"a":0,"b</w>":1,"ab</w>":2,"<|startoftext|>":3,"<|endoftext|>":4})" + separator +
                   "#version: 0.2\na b</w>\n" + separator + config + separator + R"({"unk_token":"a"})");
  for (const auto& file : hostile_tokenizer_json(model))
    tokenizers.add(repeated(separator, 4) + file.content);
  for (const auto* merges : {R"(["a b</w>"])", R"([["a","b</w>"]])"})
    tokenizers.add(
        repeated(separator, 4) +
        R"({"added_tokens":[{"id":5,"content":"new","normalized":false}],"model":{"type":"BPE","vocab":)" +
        R"({"a":0,"b</w>":1,"ab</w>":2,"<|startoftext|>":3,"<|endoftext|>":4},"merges":)" + merges + "}}");

  Corpus pieces(folder / "sentencepiece_fuzz");
  for (const auto* name : {"t5_unigram_byte_fallback", "t5_unigram_identity", "umt5_unigram"})
    pieces.add(read_file(golden(std::string("text/") + name) / "spiece.model"));
  for (const bool has_bytes : {false, true}) {
    SentencePieceFile small;
    small.add("<unk>", 0.0f, SentencePieceFile::unknown);
    small.add("</s>", 0.0f, SentencePieceFile::control);
    small.add("\xE2\x96\x81", -2.0f);
    small.add("cat", -3.0f, SentencePieceFile::user_defined);
    small.add("at", -1.0f, SentencePieceFile::unused);
    for (int byte = 0; has_bytes && byte < 256; ++byte) small.add_byte(static_cast<unsigned char>(byte));
    small.byte_fallback = has_bytes;
    // A trie of one sequence: "a" becomes "b". The root's children are at 1 ^ their label; the one that is
    // there has a value, at its own place ^ 1.
    std::string trie(4 * 256, '\0');
    trie[1] = '\4';
    trie[4 * (1 ^ 'a')] = 'a';
    trie[4 * (1 ^ 'a') + 1] = '\5';
    small.charsmap = std::string("\0\4\0\0", 4) + trie + std::string("b\0", 2);
    pieces.add(small.bytes());
  }

  Corpus prompts(folder / "prompt_fuzz");
  for (const auto* text :
       {"a cat", "", "<|endoftext|>a<|startoftext|>", "&amp;lt; \xC3\xA9\xCC\x81 \xF0\x9F\x98\x80",
        "it's 12 o'clock\xFF",
        "a cat\nNegative prompt: blurry\nSteps: 20, Sampler: \"Euler a, b\", Seed: 1, Size: 8x8"})
    prompts.add(text);

  Corpus checkpoints(folder / "checkpoint_fuzz");
  for (auto tiny :
       {TinyCheckpoint("sd1").texts(), TinyCheckpoint("sdxl").texts(), TinyCheckpoint("").autoencoder(""),
        TinyCheckpoint("sd3").transformer().transformer_texts(), TinyCheckpoint("flux-dev").transformer(""),
        TinyCheckpoint("pixart-alpha").transformer("")}) {
    std::string lines;
    const auto weights = tiny.weights();
    for (const auto& name : weights.names()) {
      lines += name;
      for (const auto extent : weights.shape(name)) lines += ' ' + std::to_string(extent);
      lines += '\n';
    }
    checkpoints.add(lines);
    checkpoints.add(lines +
                    "model.diffusion_model.input_blocks.0.0.weight 32 4 3 3\n"
                    "model.diffusion_model.time_embed.0.weight 128 32\n"
                    "model.diffusion_model.out.2.weight 4 32 3 3\n"
                    "model.diffusion_model.input_blocks.1.1.proj_in.weight 32 32 1 1\n"
                    "model.diffusion_model.input_blocks.1.0.in_layers.2.weight 32 32 3 3\n");
  }
  Corpus zipped(folder / "gzip_fuzz");
  zipped.add(std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff\x2b\xc9\x48\x05\0", 15) + std::string(8, '\0'));
  zipped.add(std::string("\x1f\x8b\x08\x08\0\0\0\0\0\xffx\0\x01\x02\0\xfd\xff"
                         "ab",
                         19) +
             std::string(8, '\0'));

  Corpus pictures(folder / "picture_fuzz");
  for (const auto& files : {hostile_pictures(), hostile_jpegs(), hostile_bmps()})
    for (const auto& file : files) pictures.add(file.content);
  for (const auto& entry : fs::directory_iterator(golden("images/files"))) {
    const std::string file = read_file(entry.path());
    if (!daguerre::image_format(std::as_bytes(std::span(file))).empty()) pictures.add(file);
  }
  for (const auto& file : hostile_png_text()) pictures.add(file.content);
  const auto png = daguerre::Image(3, 2, 4).encode_png({{"parameters", "a cat"}, {"other", "\u65e5"}});
  pictures.add({reinterpret_cast<const char*>(png.data()), png.size()});
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: make_fuzz_seeds FOLDER\n", stderr);
    return 2;
  }
  try {
    make_seeds(arguments[1]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
