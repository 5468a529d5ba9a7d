#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/weights/delta.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights {

/// How an adapter file is read.
struct AdapterOptions {
  /// Keys that belong to nothing are passed over and reported; otherwise they are an error.
  bool partial = false;
  /// A weight for each block of the denoiser, in the order of the web UI's block-weight extension: 12 (SDXL)
  /// or 17 (SD 1 and 2) values for blocks that LoRA files change, 20 (SDXL) or 26 for all; the first is for
  /// everything outside the U-Net. Empty: all 1. Of a transformer: one value for each block, in order.
  std::vector<float> block_weights = {};
};

/// What an adapter file changes in one network.
struct AdapterMatch {
  Deltas deltas;                       ///< at strength 1, block weights apart
  std::size_t matched = 0;             ///< modules of the file that have a place in the network
  std::vector<std::string> unmatched;  ///< keys that have none, as they stand in the file
};

/// A loaded adapter file: LoRA and its kin (LoCon, LoHa, LoKr, (IA)^3, DoRA, whole differences) in the
/// layouts of kohya-ss, LyCORIS, diffusers and PEFT, the attention processors before them, OneTrainer,
/// ai-toolkit and Black Forest Labs, XLabs, under diffusers' or the original modules' names. Immutable; cheap
/// to copy.
class AdapterFile {
 public:
  /// Parts of a model, by the names of diffusers' folders; the U-Net or transformer is `denoiser`.
  static constexpr std::string_view denoiser = "denoiser", text_encoder = "text_encoder",
                                    text_encoder_2 = "text_encoder_2", text_encoder_3 = "text_encoder_3";

  /// Throws FileError and FormatError as StateDict::load, FormatError for keys that belong to no part,
  /// modules of which a factor is missing and alphas that are no number, WeightError for values that are not
  /// finite and factors that do not fit each other.
  static AdapterFile load(const std::filesystem::path& path, const AdapterOptions& options = {});
  explicit AdapterFile(const StateDict& tensors, const AdapterOptions& options = {});

  /// The parts that it changes, sorted.
  std::vector<std::string> parts() const;
  bool changes(std::string_view part) const;
  /// The family that its keys look like: "SD 1", "SD 2", "SDXL", "SD 3", "FLUX"; empty when they could be
  /// anybody's.
  const std::string& family() const noexcept;
  /// Keys that belong to no part (only with `partial`), as they stand in the file.
  const std::vector<std::string>& foreign() const noexcept;
  /// What to call it in messages.
  const std::string& source() const noexcept;

  /// What it changes in a part, given that part's weights under diffusers' names (their values are not read).
  /// Throws WeightError for keys that have no place in it, unless these are accepted, naming the first few
  /// and the family that they look like, and for tensors of other shapes.
  AdapterMatch match(std::string_view part, const StateDict& weights) const;

 private:
  struct Content;
  std::shared_ptr<const Content> content_;
};

}  // namespace daguerre::weights
