#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "daguerre/media/image.hpp"
#include "daguerre/ops/context.hpp"
#include "daguerre/pipeline/load_component.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre {

/// A CLIP model with both towers, behind its tokenizer and the preparation of its pictures. Its element type
/// is forgotten.
class ClipTowers {
 public:
  virtual ~ClipTowers() = default;
  /// `[1, projection_dim]`, not normalised. Throws ArgumentError for a text that has tokens without a row.
  virtual Tensor<float> embed_text(const ops::Context& context, std::string_view text) const = 0;
  /// Likewise.
  virtual Tensor<float> embed_picture(const ops::Context& context, const Image& picture) const = 0;
  /// `[N, projection_dim]`, likewise; the pictures are prepared in parallel and run at once.
  virtual Tensor<float> embed_pictures(const ops::Context& context,
                                       std::span<const Image> pictures) const = 0;
  virtual Index dimension() const noexcept = 0;
  /// One line: the network, how pictures are prepared, and the type that is multiplied.
  virtual std::string definition() const = 0;
  /// What of a text the text tower does not see; empty when it sees all.
  virtual std::string lost(std::string_view text) const = 0;
};

/// Where a CLIP model's vocabulary is looked for that brings none.
struct TokenizerPlaces {
  std::filesystem::path given{}, fallback{};
};

/// How pictures are prepared for a model in open_clip's layouts; one of transformers' says it itself.
enum class ClipPreparation {
  clip,  ///< as openai/CLIP and open_clip do
  hps,   ///< as HPSv2 does (hps_pixel_values)
  cmmd,  ///< of any layout, as CMMD's reference does: bicubic interpolation to the network's size, no crop
};

/// The tensors of the CLIP model at `path`, under the names that its files have. Throws FileError,
/// FormatError.
weights::StateDict open_clip_weights(const std::filesystem::path& path);

/// The model at `path`; see PictureJudge::load for what that may be. Throws FileError, FormatError,
/// ConfigError, WeightError.
std::shared_ptr<const ClipTowers> load_clip_towers(const std::filesystem::path& path,
                                                   ClipPreparation preparation,
                                                   const TokenizerPlaces& tokenizer,
                                                   const LoadContext& context);

}  // namespace daguerre
