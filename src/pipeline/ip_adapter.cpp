#include "daguerre/pipeline/ip_adapter.hpp"

#include <algorithm>
#include <cmath>

#include "core/paths.hpp"
#include "daguerre/models/adapters/ip_adapter.hpp"
#include "daguerre/pipeline/components.hpp"
#include "daguerre/pipeline/load_component.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/name.hpp"
#include "pipeline/number.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

template <class T>
class PublishedIpAdapter final : public IpAdapter {
 public:
  PublishedIpAdapter(IpAdapterInfo info, std::shared_ptr<const ImageEncoder> encoder,
                     models::IpAdapter<T> network)
      : info_(std::move(info)), encoder_(std::move(encoder)), network_(std::move(network)) {}
  const IpAdapterInfo& info() const noexcept override { return info_; }

  std::vector<Tensor<float>> keys_values(const ops::Context& context, std::span<const Image> pictures,
                                         bool positive) const override {
    std::vector<Tensor<float>> tokens;
    for (const auto& picture : pictures) {
      if (!positive && !tokens.empty())
        tokens.push_back(tokens.front());
      else
        tokens.push_back(network_.tokens(context, features(context, picture, positive)));
    }
    return network_.keys_values(context, side_by_side(tokens));
  }

 private:
  /// What leads away is a zero embedding, or the states of a picture of zeros.
  Tensor<float> features(const ops::Context& context, const Image& picture, bool positive) const {
    if (!network_.config().reads_states())
      return positive ? encoder_->encode(context, picture).embedding
                      : Tensor<float>::zeros({1, network_.config().input_width});
    return (positive ? encoder_->encode(context, picture) : encoder_->encode_nothing(context)).penultimate;
  }
  /// `[1, S, W]` each, along S.
  static Tensor<float> side_by_side(const std::vector<Tensor<float>>& tokens) {
    const auto all = concat_leading<float>(tokens);
    return all.reshape({1, -1, all.dim(2)});
  }

  IpAdapterInfo info_;
  std::shared_ptr<const ImageEncoder> encoder_;
  models::IpAdapter<T> network_;
};

/// The folder of an encoder's preprocessor_config.json; empty where there is none.
fs::path processor_folder(const fs::path& folder) {
  for (const auto& place : {folder, folder.parent_path() / "feature_extractor"})
    if (path_exists(place / "preprocessor_config.json")) return place;
  return {};
}

/// The scale of the attention of that name.
float scale_of(const ImagePrompt& prompt, const std::string& attention) {
  if (prompt.block_scales.empty()) return prompt.scale;
  std::size_t longest = 0;
  float scale = 0.0f;
  for (const auto& [name, value] : prompt.block_scales)
    if ((attention + ".").starts_with(name + ".") && name.size() >= longest) {
      longest = name.size();
      scale = value;
    }
  return scale;
}

void check_scales(const ImagePrompt& prompt, std::span<const CrossAttention> attentions) {
  const auto check_scale = [](float scale) {
    if (!std::isfinite(scale))
      throw ArgumentError(pipeline_name,
                          "an image prompt's scale is " + number(scale) + ", expected a finite number");
  };
  check_scale(prompt.scale);
  for (const auto& [name, scale] : prompt.block_scales) {
    check_scale(scale);
    const bool found = std::any_of(attentions.begin(), attentions.end(), [&, &key = name](const auto& one) {
      return (one.name + ".").starts_with(key + ".");
    });
    if (!found)
      throw ArgumentError(pipeline_name, "an image prompt's scale is given for \"" + name +
                                             "\", where no attention looks at a prompt; there is \"" +
                                             attentions.front().name + "\"");
  }
}

}  // namespace

ImageEncoder::Output ImageEncoder::encode_values(const ops::Context&, const Tensor<float>&) const {
  throw ArgumentError("image_encoder", "this encoder takes pictures only, not their values");
}

std::shared_ptr<const ImageEncoder> load_image_encoder(const fs::path& folder, const LoadContext& context) {
  ComponentSource source, processor;
  source.name = "image_encoder";
  source.library = "transformers";
  source.class_name = "CLIPVisionModelWithProjection";
  source.folder = folder;
  processor.name = "feature_extractor";
  processor.folder = processor_folder(folder);
  return open_clip_image_encoder(source, processor, context).load(context);
}

std::shared_ptr<const IpAdapter> load_ip_adapter(const fs::path& file,
                                                 std::shared_ptr<const ImageEncoder> encoder,
                                                 const LoadContext& context) {
  if (encoder == nullptr) throw ArgumentError("ip_adapter", "an IP-Adapter needs an image encoder");
  const auto state = weights::StateDict::load(
      file, {.allow_trailing_bytes = context.allow_trailing_bytes, .threads = context.compute.threads});
  const auto config = models::IpAdapterConfig::from(state);
  const auto& seen = encoder->info();
  const Index given = config.reads_states() ? seen.width : seen.embed_width;
  if (given != config.input_width)
    throw WeightError("ip_adapter", state.source() + ": made for an image encoder with a " +
                                        (config.reads_states() ? "hidden_size" : "projection_dim") + " of " +
                                        std::to_string(config.input_width) + ", " + seen.config + " has " +
                                        std::to_string(given));
  const IpAdapterInfo info{config.attention_widths, state.source()};
  return with_precision(
      context, Role::other, [&]<class T>(const LoadContext& own) -> std::shared_ptr<const IpAdapter> {
        models::IpAdapter<T> network(config, nn::Loader{weights::Scope(state), own.compute});
        report(state, own);
        return std::make_shared<const PublishedIpAdapter<T>>(info, encoder, std::move(network));
      });
}

void check_image_prompts(std::span<const ImagePrompt> prompts, std::span<const CrossAttention> attentions,
                         const std::string& model) {
  if (prompts.empty()) return;
  if (attentions.empty()) throw ArgumentError(pipeline_name, model + " takes no pictures as prompts");
  for (const auto& prompt : prompts) {
    if (prompt.adapter == nullptr) throw ArgumentError(pipeline_name, "an image prompt has no adapter");
    if (prompt.images.empty()) throw ArgumentError(pipeline_name, "an image prompt has no picture");
    for (const auto& image : prompt.images)
      if (image.empty()) throw ArgumentError(pipeline_name, "an image prompt's picture is empty");
    const auto& info = prompt.adapter->info();
    bool fits = info.attention_widths.size() == attentions.size();
    for (std::size_t i = 0; fits && i < attentions.size(); ++i)
      fits = info.attention_widths[i] == attentions[i].width;
    if (!fits)
      throw ArgumentError(
          pipeline_name,
          info.file + " is for another model: its " + std::to_string(info.attention_widths.size()) +
              " attentions (the first of width " +
              std::to_string(info.attention_widths.empty() ? 0 : info.attention_widths.front()) +
              ") are not this model's " + std::to_string(attentions.size()) + " (" +
              std::to_string(attentions.front().width) + ")");
    check_scales(prompt, attentions);
  }
}

std::vector<std::vector<nn::DecoupledKeys>> decoupled_keys(const ops::Context& context,
                                                           std::span<const ImagePrompt> prompts,
                                                           std::span<const CrossAttention> attentions,
                                                           bool positive) {
  if (prompts.empty()) return {};
  std::vector<std::vector<nn::DecoupledKeys>> result(attentions.size());
  for (const auto& prompt : prompts) {
    const auto all = prompt.adapter->keys_values(context, prompt.images, positive);
    if (all.size() != attentions.size())
      throw ArgumentError(pipeline_name, "an adapter gave keys for " + std::to_string(all.size()) +
                                             " attentions, this model has " +
                                             std::to_string(attentions.size()));
    for (std::size_t i = 0; i < all.size(); ++i)
      result[i].push_back({all[i], scale_of(prompt, attentions[i].name)});
  }
  return result;
}

}  // namespace daguerre
