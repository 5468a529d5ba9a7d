#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/daguerre.hpp>
#include <daguerre/text/clip_tokenizer_files.hpp>
#include <daguerre/text/tokenizer_folders.hpp>
#include <daguerre/weights/adapt_checkpoint.hpp>
#include <daguerre/weights/convert.hpp>

#include "commands.hpp"
#include "interrupt.hpp"
#include "order.hpp"
#include "progress.hpp"
#include "text.hpp"

namespace daguerre::cli {
namespace {

namespace fs = std::filesystem;
using weights::DType;

struct ConvertRequest {
  std::string from, to, type, tokenizer;
  bool force = false, quiet = false;
  std::vector<std::string> loras;
  bool partial_loras = false;
  weights::CheckpointOptions open;
};

/// FILE[:WEIGHT], the weight being what follows the last colon where that is a number.
weights::AdapterUse read_lora(const std::string& text, bool partial) {
  std::string file = text;
  float weight = 1;
  if (const auto colon = text.rfind(':'); colon != text.npos && colon + 1 < text.size()) {
    const char* const begin = text.data() + colon + 1;
    const char* const end = text.data() + text.size();
    float value = 0;
    const auto [stop, error] = std::from_chars(begin, end, value);
    if (error == std::errc() && stop == end) {
      file.resize(colon);
      weight = value;
    }
  }
  return {weights::AdapterFile::load(file, {.partial = partial}), weight, weight};
}

/// Those behind the third are for GGUF files.
const std::vector<std::pair<std::string, DType>>& types() {
  static const std::vector<std::pair<std::string, DType>> known{
      {"f32", DType::f32},   {"f16", DType::f16},   {"bf16", DType::bf16}, {"q8_0", DType::q8_0},
      {"q6_k", DType::q6_k}, {"q5_k", DType::q5_k}, {"q5_1", DType::q5_1}, {"q5_0", DType::q5_0},
      {"q4_k", DType::q4_k}, {"q4_1", DType::q4_1}, {"q4_0", DType::q4_0}};
  return known;
}

std::vector<std::string> type_names() {
  std::vector<std::string> result;
  for (const auto& [name, type] : types()) result.push_back(name);
  return result;
}

/// Whether the result is one file, which holds no tokenizers.
bool is_file(const ConvertRequest& request) {
  const auto extension = fs::path(request.to).extension();
  return extension == ".safetensors" || extension == ".gguf";
}

/// What fills the tokenizers' folders, where any can be found; the model's own come along without this.
void add_tokenizers(const ConvertRequest& request, const weights::Checkpoint& model,
                    weights::ConvertOptions& options) {
  if (!model.folder.empty()) return;
  const char* const fallback = std::getenv("DAGUERRE_TOKENIZERS");
  const auto folders =
      text::tokenizer_folders(request.tokenizer, request.from, fallback == nullptr ? "" : fallback);
  for (const auto& tokenizer : model.tokenizers) {
    try {
      const auto padding =
          tokenizer.pads_with_id_0 ? text::ClipPadding::id_0 : text::ClipPadding::end_of_text;
      for (auto& [name, content] : tokenizer.class_name.starts_with("T5")
                                       ? text::find_t5_tokenizer_files(folders)
                                       : text::find_clip_tokenizer_files(folders, padding))
        options.files[tokenizer.name + "/" + name] = content;
    } catch (const FileError&) {
      if (!request.tokenizer.empty()) throw;
    }
  }
}

void run(const ConvertRequest& request) {
  const Interrupt interrupt;
  Progress progress(request.quiet);
  weights::ConvertOptions options;
  for (const auto& [name, type] : types())
    if (name == request.type) options.type = type;
  options.force = request.force;
  options.stop = interrupt.token();
  options.on_progress = [&](std::uint64_t written, std::uint64_t total) {
    progress.stage("writing " + request.to + "  " + byte_count(written) + " of " + byte_count(total));
  };
  std::vector<weights::AdapterUse> loras;
  for (const auto& lora : request.loras) loras.push_back(read_lora(lora, request.partial_loras));
  const auto model = weights::with_adapters(weights::open_checkpoint(request.from, request.open), loras);
  if (!is_file(request)) add_tokenizers(request, model, options);
  const auto converted = weights::convert_checkpoint(model, request.to, options);
  for (const auto& note : converted.notes) progress.warnings()(LogLevel::warning, note);
  progress.note((model.title.empty() ? "" : model.title + ", ") + byte_count(converted.bytes) +
                " of weights");
  std::printf("%s\n", request.to.c_str());
}

}  // namespace

void add_convert(CLI::App& parent) {
  auto* app = parent.add_subcommand("convert", "Write a model as a folder or as one file, in another type");
  app->footer(
      "Examples:\n"
      "  daguerre convert sd_xl_base_1.0.safetensors models/sdxl\n"
      "  daguerre convert models/stable-diffusion-v1-5 sd15_f16.safetensors --type f16\n"
      "  daguerre convert models/stable-diffusion-v1-5 sd15_q8.gguf --type q8_0\n"
      "  daguerre convert sd_xl_base_1.0.safetensors xl_lcm.safetensors --lora "
      "lcm_lora_sdxl.safetensors:0.8\n"
      "The result appears when it is whole; stopped by Ctrl-C or a failure, nothing of it is left.");
  const auto request = std::make_shared<ConvertRequest>();
  app->add_option("from", request->from,
                  "Model folder in diffusers' layout, or a checkpoint file in the layout of CompVis, "
                  "Stability or Black "
                  "Forest Labs")
      ->check(file_name())
      ->type_name("IN")
      ->required();
  app->add_option("to", request->to, "A file where it ends in .safetensors or .gguf, else a folder")
      ->check(file_name())
      ->type_name("OUT")
      ->required();
  app->add_option(
         "--type", request->type,
         "f32, f16 or bf16, in .gguf files also q8_0, q6_k, q5_k, q5_1, q5_0, q4_k, q4_1 or q4_0 (where "
         "it does little harm); by default every tensor stays what it is")
      ->check(CLI::IsMember(type_names()))
      ->type_name("TYPE");
  app->add_flag("--force", request->force, "Replace what is there");
  app->add_option(
         "--lora", request->loras,
         "Bake an adapter (LoRA and its kin) into what is written, before numbers are rounded; with a "
         "weight, which may be negative, behind a colon. May be given more than once")
      ->allow_extra_args(false)
      ->type_name("FILE[:WEIGHT]");
  app->add_flag("--lora-partial", request->partial_loras,
                "Accept adapters of which some keys fit nothing in the model");
  app->add_option(
         "--tokenizer", request->tokenizer,
         "Folder with vocab.json and merges.txt, or bpe_simple_vocab_16e6.txt.gz, and spiece.model for T5, "
         "for a file's model; by default what lies beside the file, or in the folder that "
         "DAGUERRE_TOKENIZERS names")
      ->check(file_name())
      ->type_name("DIR");
  app->add_option("--family", request->open.family, "What a file is, in place of what its tensors say")
      ->check(CLI::IsMember(weights::checkpoint_families()))
      ->type_name("NAME");
  app->add_option("--configs", request->open.configs,
                  "Folder with unet/config.json, transformer/config.json and so on, in place of the family's")
      ->type_name("DIR");
  app->add_option("--prediction", request->open.prediction_type,
                  "What the model predicts, in place of its family's")
      ->check(CLI::IsMember({"epsilon", "v_prediction", "sample"}))
      ->type_name("KIND");
  app->add_option("--variant", request->open.variant, "Of a folder's files: fp16 for model.fp16.safetensors")
      ->type_name("NAME");
  app->add_flag("--ema", request->open.ema, "The averaged weights of a file that has both");
  app->add_flag("--allow-trailing-bytes", request->open.file.allow_trailing_bytes,
                "Accept weight files with bytes behind their last tensor");
  app->add_flag("--quiet", request->quiet, "Only warnings and errors on stderr");
  app->callback([request] { run(*request); });
}

}  // namespace daguerre::cli
