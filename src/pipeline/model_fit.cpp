#include "pipeline/model_fit.hpp"

#include <utility>

#include "core/text.hpp"
#include "daguerre/samplers/registry.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

ConfigError misfit(const std::string& problem) {
  return ConfigError(pipeline_name, "the parts do not fit each other: " + problem);
}

}  // namespace

void check_fit(std::span<const TextEncoderInfo> text_encoders, const DenoiserInfo& denoiser,
               const LatentFormat* autoencoder, bool joins_picture) {
  Index width = 0;
  std::string keys;
  for (const auto& text : text_encoders) {
    width += text.width;
    keys += (keys.empty() ? "" : ", beside it ") + text.width_key + " is " + std::to_string(text.width);
  }
  if (!text_encoders.empty() && denoiser.context_width != 0 && width != denoiser.context_width)
    throw misfit(keys + ", cross_attention_dim in " + denoiser.config + " is " +
                 std::to_string(denoiser.context_width));
  if (autoencoder == nullptr) return;
  const Index latent = autoencoder->channels, joined = joins_picture ? 2 * latent : 2 * latent + 1;
  const auto wrong = [&](const char* key, Index found, const std::string& expected) {
    return misfit(std::string(key) + " in " + denoiser.config + " is " + std::to_string(found) +
                  ", latent_channels in " + autoencoder->config + " is " + std::to_string(latent) +
                  "; expected " + expected);
  };
  if (denoiser.in_channels != joined && (joins_picture || denoiser.in_channels != latent))
    throw wrong("in_channels", denoiser.in_channels,
                joins_picture
                    ? std::to_string(joined) + ", with a picture's"
                    : std::to_string(latent) + ", or " + std::to_string(joined) + " with mask and picture");
  if (denoiser.out_channels != latent && denoiser.out_channels != 2 * latent)
    throw wrong("out_channels", denoiser.out_channels,
                std::to_string(latent) + ", or " + std::to_string(2 * latent) + " with a variance");
}

void check_variance(const Config& scheduler, Index channels, Index out_channels,
                    const std::string& denoiser) {
  const std::string name = scheduler.class_name();
  if (!samplers::SamplerRegistry::standard().knows_class(name)) return;  // a host's own
  // The keys of other classes are leftovers in a configuration.
  const bool may_learn = name == "DDPMScheduler" || name.starts_with("DPMSolver");
  const bool learned =
      may_learn && scheduler.optional_string("variance_type").value_or("").starts_with("learned");
  const std::string sizes =
      std::to_string(channels) + " channels in and " + std::to_string(out_channels) + " out";
  if (out_channels == 2 * channels && !learned)
    throw misfit(denoiser + " has " + sizes + ", half of which are a variance, but the " + name + " in " +
                 scheduler.source() + " takes none (variance_type is not learned or learned_range)");
  // DPM-Solver takes what there is.
  if (out_channels == channels && learned && name == "DDPMScheduler")
    throw misfit("variance_type in " + scheduler.source() + " is " +
                 scheduler.optional_string("variance_type").value_or("") +
                 ", which takes twice the channels, but " + denoiser + " has " + sizes);
}

void check_window(Index length, const std::string& tokenizer_files, Index positions,
                  const std::string& text_encoder) {
  if (length > positions)
    throw misfit("the tokenizer of " + tokenizer_files + " makes windows of " + std::to_string(length) +
                 " tokens (model_max_length), max_position_embeddings in " + text_encoder + " is " +
                 std::to_string(positions));
}

TokenRows::TokenRows(Sides sides, std::span<const Special> specials) : sides_(std::move(sides)) {
  for (const auto& [name, id] : specials)
    if (id >= sides_.rows)
      throw misfit(counts() + ", and the " + name + " token, which every prompt has, is " +
                   std::to_string(id));
}

std::string TokenRows::counts() const {
  return "the tokenizer has " + std::to_string(sides_.tokens) + " tokens (" + sides_.tokenizer_files +
         "), the text encoder has " + std::to_string(sides_.rows) + " rows (vocab_size in " +
         sides_.text_encoder + ")";
}

std::optional<std::string> TokenRows::warning() const {
  if (sides_.tokens <= sides_.rows) return std::nullopt;
  return "[pipeline] " + counts() + ": prompts with one of the last " +
         std::to_string(sides_.tokens - sides_.rows) + " tokens are refused";
}

void TokenRows::refuse(std::int32_t id, const std::string& token, const char* what) const {
  throw ArgumentError(pipeline_name, std::string("the ") + what + " has the token " + in_quotes(token) +
                                         ", number " + std::to_string(id) + ", but " + counts());
}

}  // namespace daguerre
