#include "pipeline/model_fit.hpp"

#include <array>
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

TokenRows::TokenRows(const text::ClipTokenizer& tokenizer, const models::ClipTextConfig& config,
                     std::string text_encoder)
    : tokens_(tokenizer.vocabulary_size()),
      rows_(config.vocab_size),
      tokenizer_files_(tokenizer.source()),
      text_encoder_(std::move(text_encoder)) {
  if (tokenizer.length() > config.max_position_embeddings)
    throw misfit("the tokenizer of " + tokenizer_files_ + " makes windows of " +
                 std::to_string(tokenizer.length()) +
                 " tokens (model_max_length), max_position_embeddings in " + text_encoder_ + " is " +
                 std::to_string(config.max_position_embeddings));
  using Special = std::pair<const char*, std::int32_t>;
  for (const auto& [name, id] : std::array<Special, 3>{
           {{"start", tokenizer.start_id()}, {"end", tokenizer.end_id()}, {"pad", tokenizer.pad_id()}}})
    if (id >= rows_)
      throw misfit(counts() + ", and the " + name + " token, which every prompt has, is " +
                   std::to_string(id));
}

std::string TokenRows::counts() const {
  return "the tokenizer has " + std::to_string(tokens_) + " tokens (" + tokenizer_files_ +
         "), the text encoder has " + std::to_string(rows_) + " rows (vocab_size in " + text_encoder_ + ")";
}

std::optional<std::string> TokenRows::warning() const {
  if (tokens_ <= rows_) return std::nullopt;
  return "[pipeline] " + counts() + ": prompts with one of the last " + std::to_string(tokens_ - rows_) +
         " tokens are refused";
}

void TokenRows::check(const text::ClipTokenizer& tokenizer, const std::string& prompt,
                      const char* what) const {
  if (tokens_ <= rows_) return;
  for (const auto id : tokenizer.window(prompt).ids)
    if (id >= rows_)
      throw ArgumentError(pipeline_name, std::string("the ") + what + " has the token " +
                                             in_quotes(tokenizer.decode(std::array{id})) + ", number " +
                                             std::to_string(id) + ", but " + counts());
}

}  // namespace daguerre
