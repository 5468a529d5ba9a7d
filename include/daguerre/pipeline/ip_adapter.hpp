#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "daguerre/nn/decoupled_keys.hpp"
#include "daguerre/ops/context.hpp"
#include "daguerre/pipeline/image_prompt.hpp"

namespace daguerre {

struct CrossAttention;
struct LoadContext;

struct ImageEncoderInfo {
  Index width = 0;                        ///< of the states
  Index embed_width = 0;                  ///< of a picture in one vector
  std::string config;                     ///< the file that says so, for messages
  Index image_size = 0;                   ///< sides of what the network sees, in pixels
  Index crop_height = 0, crop_width = 0;  ///< what the preprocessing cuts out
};

/// Pictures to numbers: preprocessing and the network behind it. Immutable; safe from many threads.
class ImageEncoder {
 public:
  using Info = ImageEncoderInfo;
  struct Output {
    Tensor<float> embedding;    ///< `[1, embed_width]`
    Tensor<float> penultimate;  ///< `[1, L, width]`, the states before the last layer
  };
  virtual ~ImageEncoder() = default;
  virtual const ImageEncoderInfo& info() const noexcept = 0;
  virtual Output encode(const ops::Context& context, const Image& picture) const = 0;
  /// Of a picture's values `[1, image_size, image_size, 3]`, about [0, 1], that are only normalised here.
  /// Throws ArgumentError for another shape, and where an encoder takes none.
  virtual Output encode_values(const ops::Context& context, const Tensor<float>& values) const;
  /// Of zeros in the place of a picture's normalised values.
  virtual Output encode_nothing(const ops::Context& context) const = 0;
};

struct IpAdapterInfo {
  std::vector<Index> attention_widths;  ///< of the keys for each of the denoiser's cross-attentions
  std::string file;                     ///< for messages
};

/// A picture as a prompt for U-Nets that read text (IP-Adapter; Ye et al. 2023). Immutable; safe from many
/// threads, and for any number of pipelines of its family.
class IpAdapter {
 public:
  virtual ~IpAdapter() = default;
  virtual const IpAdapterInfo& info() const noexcept = 0;
  /// Keys and values `[1, S, 2 width]` for each cross-attention, of all pictures side by side; `positive`
  /// false: of what guidance leads away from, as many.
  virtual std::vector<Tensor<float>> keys_values(const ops::Context& context, std::span<const Image> pictures,
                                                 bool positive) const = 0;
};

/// CLIP's image encoder from a folder in transformers' layout (config.json and weights). How pictures are
/// prepared is what a preprocessor_config.json says there or in a folder "feature_extractor" beside it, else
/// as CLIP has it. Throws FileError, FormatError, ConfigError, WeightError.
std::shared_ptr<const ImageEncoder> load_image_encoder(const std::filesystem::path& folder,
                                                       const LoadContext& context);
/// An IP-Adapter (plain, Plus, Full-face) from its published file. Throws what reading files throws, and
/// WeightError where it was made for another encoder, or is of a kind that is not known.
std::shared_ptr<const IpAdapter> load_ip_adapter(const std::filesystem::path& file,
                                                 std::shared_ptr<const ImageEncoder> encoder,
                                                 const LoadContext& context);

/// Throws ArgumentError where a denoiser with these cross-attentions cannot take the prompts; `model` is what
/// speaks of it.
void check_image_prompts(std::span<const ImagePrompt> prompts, std::span<const CrossAttention> attentions,
                         const std::string& model);
/// What each cross-attention looks at, from every adapter; they must have been checked.
std::vector<std::vector<nn::DecoupledKeys>> decoupled_keys(const ops::Context& context,
                                                           std::span<const ImagePrompt> prompts,
                                                           std::span<const CrossAttention> attentions,
                                                           bool positive);

}  // namespace daguerre
