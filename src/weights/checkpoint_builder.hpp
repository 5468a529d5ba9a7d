#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "daguerre/weights/checkpoint.hpp"
#include "weights/checkpoint_parts.hpp"

namespace daguerre::weights {

/// Who speaks in messages about what a file is.
inline constexpr std::string_view checkpoint_name = "checkpoint";

/// Puts a checkpoint of a family together from its parts' weights. The text encoders come before the U-Net,
/// whose configuration depends on their widths.
class CheckpointBuilder {
 public:
  CheckpointBuilder(const FamilyRow& family, const CheckpointOptions& options, std::string source);

  /// Throws WeightError where the slot's projection is missing.
  void add_text(const TextSlot& slot, StateDict weights);
  void add_autoencoder(StateDict weights);
  void add_unet(StateDict weights);
  /// In place of what the family predicts; `zero_snr`: of a schedule rescaled to end in noise alone.
  void predict_v(bool zero_snr);

  /// Throws WeightError for parts that do not fit together, naming the tensors.
  Checkpoint finish();

 private:
  /// The configuration in `options.configs`, else what `make` gives.
  template <class Make>
  Config config_of(const std::string& part, const Make& make) const;
  void check_widths(const StateDict& unet) const;

  const FamilyRow& family_;
  const CheckpointOptions& options_;
  Checkpoint result_;
  std::string scheduler_changes_;
};

CheckpointPart lone_autoencoder(StateDict weights, const CheckpointOptions& options,
                                const std::string& source);
/// `family` is one of text_family's.
CheckpointPart lone_text(StateDict weights, const std::string& family, const CheckpointOptions& options,
                         const std::string& source);
/// "clip-l", "clip-h" or "clip-g" by the layout and the width: OpenCLIP's are from 1024 on.
std::string text_family(const StateDict& weights, bool open_clip_names);

/// `base`, which holds a U-Net, with the parts that the other checkpoints hold.
Checkpoint join_to(const Checkpoint& base, std::span<const Checkpoint> parts);

}  // namespace daguerre::weights
