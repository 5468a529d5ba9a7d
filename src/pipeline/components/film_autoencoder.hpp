#pragma once

#include <utility>

#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/pipeline/components.hpp"

namespace daguerre {

/// An autoencoder of films whose network encodes and decodes films, and hands on frames as they come.
/// Pictures are films of one frame.
template <class Network>
class FilmAutoencoder final : public Autoencoder {
 public:
  FilmAutoencoder(LatentFormat format, Network network)
      : format_(std::move(format)), network_(std::move(network)) {}

  const LatentFormat& info() const noexcept override { return format_; }
  Distribution encode(const ops::Context& context, const Tensor<float>& pictures) const override {
    const bool is_film = pictures.rank() != 4;
    const auto encoded = network_.encode(context, is_film ? pictures : with_frames(pictures));
    auto deviation = encoded.std(context);
    return is_film ? Distribution{encoded.mean, deviation}
                   : Distribution{without_frames(encoded.mean), without_frames(deviation)};
  }
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const override {
    if (latents.rank() != 4) return network_.decode(context, latents);
    return without_frames(network_.decode(context, with_frames(latents)));
  }
  void decode_film(const ops::Context& context, const Tensor<float>& latents, const FilmDecoding&,
                   const FrameSink& sink) const override {
    network_.decode(context, latents, sink);
  }

 private:
  static Tensor<float> with_frames(const Tensor<float>& pictures) {
    return pictures.reshape({pictures.dim(0), 1, pictures.dim(1), pictures.dim(2), pictures.dim(3)});
  }
  static Tensor<float> without_frames(const Tensor<float>& films) {
    return films.reshape({films.dim(0), films.dim(2), films.dim(3), films.dim(4)});
  }

  LatentFormat format_;
  Network network_;
};

}  // namespace daguerre
