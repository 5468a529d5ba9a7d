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

/// What the norms of a file's weight-decomposed layers (DoRA) mean; s is the strength, D the change with
/// alpha / rank. The three are the same at best for strength 1.
enum class DoraRule {
  automatic,  ///< of outputs (rows) `peft`, of inputs `lycoris`
  peft,       ///< m / |W + s D| (W + s D); of outputs only, what diffusers does
  lycoris,    ///< (W + D) (1 + s (m / |W + D| - 1))
  comfyui,    ///< W + s (m / n (W + D) - W), where n is |W| for outputs and |W + D| for inputs
};

/// How an adapter file is read.
struct AdapterOptions {
  /// Keys that belong to nothing are passed over and reported; otherwise they are an error.
  bool partial = false;
  /// A weight for each block of the denoiser, in the order of the web UI's block-weight extension. The first
  /// is for everything outside of blocks and for text encoders; then come, of a U-Net, input blocks, the
  /// middle one and output blocks of the original layout: all of them (20 values for SDXL, 26 for others), or
  /// those alone that have attentions and, last, all behind (12 or 17), where the others get none. Of a
  /// transformer one for each block. Empty: all 1.
  std::vector<float> block_weights = {};
  DoraRule dora = DoraRule::automatic;
  /// Factors of the network's first layer may take more input channels than it has: as FLUX.1's control
  /// adapters do, whose network is one of another configuration (`in_channels`). Otherwise an error.
  bool wider_input = false;
  /// Take alpha and rank from `lora_adapter_metadata` where the file has them only there (diffusers since
  /// 0.35); without, alpha is the rank.
  bool read_metadata = true;
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
