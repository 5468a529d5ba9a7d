#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daguerre/weights/safetensors.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre::test {

/// Single checkpoint files under the names of CompVis, Stability and Black Forest Labs. U-Nets have the
/// published number of levels, layers and blocks of their families and all widths 32; transformers have two
/// blocks of a kind and are 64 wide (PixArt's 48). Their numbers are small and random.
class TinyCheckpoint {
 public:
  /// Of `family`, as weights::Checkpoint calls them. Nothing is in it yet.
  explicit TinyCheckpoint(std::string family);

  TinyCheckpoint& unet(const std::string& prefix = "model.diffusion_model.");
  /// Of the families that have one in a U-Net's place.
  TinyCheckpoint& transformer(const std::string& prefix = "model.diffusion_model.");
  /// Likewise their text encoders, under Stability's prefixes.
  TinyCheckpoint& transformer_texts();
  TinyCheckpoint& t5(const std::string& prefix);
  TinyCheckpoint& autoencoder(const std::string& prefix = "first_stage_model.");
  /// The family's text encoders, or only one of them, under the family's prefixes.
  TinyCheckpoint& texts(bool clip = true, bool open_clip = true);
  TinyCheckpoint& clip(const std::string& prefix);
  /// `layers` blocks.
  TinyCheckpoint& open_clip(const std::string& prefix, int layers = 2);
  /// A denoiser, autoencoder and texts.
  TinyCheckpoint& whole() {
    return has_transformer() ? transformer().autoencoder().transformer_texts() : unet().autoencoder().texts();
  }
  /// Another tensor.
  TinyCheckpoint& add(const std::string& name, const Shape& shape);

  std::string bytes() const;
  weights::StateDict weights(const std::string& name = "tiny.safetensors") const;

 private:
  static constexpr Index transformer_width = 64;
  bool has_transformer() const { return is("sd3") || is("flux") || is("pixart"); }
  Index latents() const { return is("sd3") || is("flux") ? 16 : 4; }
  void sd3_half(const std::string& name, Index modulations, bool projects);
  void sd3(const std::string& prefix);
  void flux(const std::string& prefix);
  void pixart(const std::string& prefix);
  bool is(const std::string& part) const { return family_.find(part) != std::string::npos; }
  void norm(const std::string& name, Index channels);
  void affine(const std::string& name, const Shape& weight);
  void unet_resnet(const std::string& name, Index in);
  void unet_attention(const std::string& name, int depth);
  void autoencoder_resnet(const std::string& name);
  void autoencoder_half(const std::string& name, bool decodes);

  std::string family_;
  weights::SafetensorsWriter writer_;
  std::uint32_t seed_ = 1;
};

}  // namespace daguerre::test
