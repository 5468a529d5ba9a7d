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

/// "KEY is 8, beside it OTHER is 12": what several encoders give, and the sum.
struct Widths {
  Index sum = 0;
  std::string keys;
  void add(Index width, const std::string& key) {
    sum += width;
    keys += (keys.empty() ? "" : ", beside it ") + key + " is " + std::to_string(width);
  }
};

void check_texts(const Family& family, const TextEncoderInfos& text_encoders, const DenoiserInfo& denoiser) {
  const std::string read =
      denoiser.context_key + " in " + denoiser.config + " is " + std::to_string(denoiser.context_width);
  Widths beside, pooled;
  bool pads = false;
  for (const auto& part : family.parts) {
    if (part.kind != Part::Kind::text_encoder) continue;
    pads = pads || part.text == Part::Text::behind;
    const auto found = text_encoders.find(part.name);
    if (found == text_encoders.end()) continue;
    const auto& text = found->second;
    if (part.text == Part::Text::beside) beside.add(text.width, text.width_key);
    if (part.text == Part::Text::behind && denoiser.context_width != 0 &&
        text.width != denoiser.context_width)
      throw misfit(text.width_key + " is " + std::to_string(text.width) + ", " + read);
    if (part.text != Part::Text::behind && text.pooled_width != 0)
      pooled.add(text.pooled_width, "the vector of " + part.name);
  }
  const bool fits = pads ? beside.sum <= denoiser.context_width : beside.sum == denoiser.context_width;
  if (!beside.keys.empty() && denoiser.context_width != 0 && !fits)
    throw misfit(beside.keys + ", " + read + (pads ? "; the states must not be wider" : ""));
  if (!pooled.keys.empty() && denoiser.pooled_width != 0 && pooled.sum != denoiser.pooled_width)
    throw misfit(pooled.keys + ", pooled_projection_dim in " + denoiser.config + " is " +
                 std::to_string(denoiser.pooled_width));
}

std::string_view in_words(Joins joins) {
  switch (joins) {
    case Joins::mask_and_picture:
      return "with mask and picture";
    case Joins::edited:
    case Joins::control:
      return "with a picture's";
    case Joins::enlarged:
      return "with a small picture";
    case Joins::picture_and_pixels:
      return "with a picture and the mask's pixels";
  }
  return "";
}

/// Of a model without an autoencoder.
void check_pixels(const Family& family, const DenoiserInfo& denoiser) {
  const Index in = denoiser.in_channels, out = denoiser.out_channels;
  const Index beside = enlarges(family.tasks.joins) ? joined_channels(family.tasks.joins, {}) : 0;
  const Index channels = in - beside;
  if ((channels != 1 && channels != 3 && channels != 4) || (out != channels && out != 2 * channels))
    throw ConfigError(pipeline_name,
                      denoiser.config + ": the U-Net takes " + std::to_string(in) + " channels and gives " +
                          std::to_string(out) + "; pictures have 1, 3 or 4, " +
                          (beside > 0 ? std::to_string(beside) + " of a small picture join them, " : "") +
                          "and twice as many may come out where the model predicts a variance");
}

}  // namespace

void check_fit(const Family& family, const TextEncoderInfos& text_encoders, const DenoiserInfo& denoiser,
               const LatentFormat* autoencoder) {
  check_texts(family, text_encoders, denoiser);
  if (autoencoder == nullptr) return check_pixels(family, denoiser);
  const Index latent = autoencoder->channels;
  const auto joins = family.tasks.joins;
  const Index joined = latent + joined_channels(joins, *autoencoder);
  // A model that is for inpainting alone has no other task.
  const bool needs_all = is_made_from_picture(joins) || enlarges(joins) || joins == Joins::picture_and_pixels;
  const auto wrong = [&](const char* key, Index found, const std::string& expected) {
    return misfit(std::string(key) + " in " + denoiser.config + " is " + std::to_string(found) +
                  ", latent_channels in " + autoencoder->config + " is " + std::to_string(latent) +
                  "; expected " + expected);
  };
  // A family that prepares its runs itself knows what joins the channels.
  if (family.prepare && denoiser.in_channels >= latent) {
    if (denoiser.out_channels < latent)
      throw wrong("out_channels", denoiser.out_channels, std::to_string(latent) + " at least");
    return;
  }
  if (denoiser.in_channels != joined && (needs_all || denoiser.in_channels != latent))
    throw wrong("in_channels", denoiser.in_channels,
                (needs_all ? "" : std::to_string(latent) + ", or ") + std::to_string(joined) + " " +
                    std::string(in_words(joins)));
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
