#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "conformance/case.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl_hunyuan_video.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl_mochi.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl_wan.hpp"
#include "daguerre/models/autoencoders/detail/film_frames.hpp"
#include "daguerre/weights/random_tensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/native_engine.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;

namespace {

constexpr const char* small_wan =
    R"({"_class_name": "AutoencoderKLWan", "base_dim": 4, "z_dim": 2, "dim_mult": [1, 2], "num_res_blocks": 1,
        "temperal_downsample": [true], "latents_mean": [0, 0], "latents_std": [1, 1]})";
constexpr const char* small_mochi =
    R"({"_class_name": "AutoencoderKLMochi", "encoder_block_out_channels": [32, 32],
        "decoder_block_out_channels": [32, 32], "latent_channels": 2, "layers_per_block": [1, 1, 1],
        "temporal_expansions": [3], "spatial_expansions": [2], "add_attention_block": [false, true, false],
        "latents_mean": [0, 0], "latents_std": [1, 1]})";
constexpr const char* small_hunyuan =
    R"({"_class_name": "AutoencoderKLHunyuanVideo", "block_out_channels": [4, 4, 4], "layers_per_block": 1,
        "norm_num_groups": 2, "latent_channels": 2, "spatial_compression_ratio": 4})";

template <class Settings>
Settings settings(const char* text, const std::string& overrides = "{}") {
  return Settings::from(Config::parse(text, "config.json").with(overrides));
}

nn::Loader random_loader(const ops::Context& context) {
  return {weights::Scope(
              weights::StateDict({std::make_shared<const weights::RandomTensors>(1, DType::f32)}, "random")),
          context};
}

models::AutoencoderKlWan<float> wan(const ops::Context& context, const std::string& overrides = "{}") {
  return {settings<models::AutoencoderKlWanConfig>(small_wan, overrides), random_loader(context)};
}

/// The frames that a network hands on, and into how many pieces it cut them.
template <class Network>
std::pair<Tensor<float>, std::size_t> streamed(const Network& network, const ops::Context& context,
                                               const Tensor<float>& latents) {
  std::vector<Tensor<float>> frames;
  network.decode(context, latents, [&](const Tensor<float>& some) { frames.push_back(some[0]); });
  const auto film = concat_leading<float>(frames);
  return {film.reshape({1, film.dim(0), film.dim(1), film.dim(2), film.dim(3)}), frames.size()};
}

}  // namespace

TEST_CASE("frames of a film come as they are decoded", "[models][autoencoder]") {
  const auto context = test::context_for("native");
  const auto latents = test::random_tensor({2, 4, 2, 3, 2}, 1);
  const auto check = [&](const auto& network, Index frames, std::size_t pieces) {
    const auto both = network.decode(context, latents);
    CHECK(both.dim(1) == frames);
    for (Index n = 0; n < 2; ++n) {
      const auto [film, count] = streamed(network, context, latents.slice(n, n + 1));
      CHECK(count == pieces);
      CHECK(test::difference(film, both.slice(n, n + 1)).rel_l2 == 0.0);
    }
    test::expect_error<ArgumentError>([&] { streamed(network, context, latents); }, {"2 films"});
  };
  check(wan(context), 7, 4);
  check(models::AutoencoderKlMochi<float>(settings<models::AutoencoderKlMochiConfig>(small_mochi),
                                          random_loader(context)),
        10, 4);
  check(models::AutoencoderKlHunyuanVideo<float>(
            settings<models::AutoencoderKlHunyuanVideoConfig>(small_hunyuan), random_loader(context)),
        13, 1);
}

TEST_CASE("what comes later in a film changes nothing before", "[models][autoencoder]") {
  const auto context = test::context_for("native");
  const auto vae = wan(context);
  const auto latents = test::random_tensor({1, 5, 2, 3, 2}, 2);
  const auto whole = vae.decode(context, latents);
  const auto beginning = vae.decode(context, models::detail::film_frames(latents, 0, 3));
  CHECK(test::difference(models::detail::film_frames(whole, 0, 5), beginning).rel_l2 == 0.0);

  // Frames behind 4 k + 1 are not looked at.
  const auto film = test::random_tensor({1, 8, 4, 6, 3}, 3);
  const auto encoded = vae.encode(context, film).mean;
  CHECK(encoded.shape() == Shape{1, 3, 2, 3, 2});
  CHECK(test::difference(encoded, vae.encode(context, models::detail::film_frames(film, 0, 5)).mean).rel_l2 ==
        0.0);
}

TEST_CASE("films are cut into pieces by what layers make of them", "[models][autoencoder]") {
  const ops::Context context;
  const auto film = test::random_tensor({1, 5, 2, 2, 3}, 4);
  for (const auto& [channels, step] :
       {std::pair<Index, Index>{3, 5}, {Index{1} << 22, 2}, {Index{1} << 23, 1}, {Index{1} << 40, 1}}) {
    std::vector<Index> counts;
    const auto joined = models::detail::in_frames(context, film, channels, [&](const Tensor<float>& frames) {
      counts.push_back(frames.dim(1));
      return frames;
    });
    CHECK(*std::max_element(counts.begin(), counts.end()) == step);
    CHECK(test::difference(joined, film).rel_l2 == 0.0);
  }
}

TEST_CASE("groups of frames and tiles that are not possible are refused", "[models][autoencoder]") {
  const auto context = test::context_for("native");
  const models::AutoencoderKlHunyuanVideo<float> vae(
      settings<models::AutoencoderKlHunyuanVideoConfig>(small_hunyuan), random_loader(context));
  const auto latents = test::random_tensor({1, 4, 2, 3, 2}, 5);
  // In groups a film has as many frames as at once.
  models::FilmTiling tiling{.frames = 8, .stride_frames = 4};
  CHECK(vae.decode(context, latents, tiling).dim(1) == 13);
  tiling.stride_frames = 3;  // no latent frame
  test::expect_error<ArgumentError>([&] { vae.decode(context, latents, tiling); }, {"groups of 2 frames, 0"});
  tiling = {.height = 8, .width = 8, .stride_height = 12, .stride_width = 8};
  test::expect_error<ArgumentError>([&] { vae.decode_tiled(context, latents, tiling); }, {"tiles of 2 x 2"});
}

TEST_CASE("films of another shape are refused", "[models][autoencoder]") {
  const auto context = test::context_for("native");
  const auto vae = wan(context);
  for (const Shape& shape :
       {Shape{1, 5, 4, 3}, Shape{1, 5, 1, 4, 3}, Shape{1, 5, 4, 4, 2}, Shape{1, 0, 4, 4, 3}})
    test::expect_error<ArgumentError>([&] { vae.encode(context, Tensor<float>::zeros(shape)); },
                                      {"[autoencoder_kl_wan]", "sides of 2 at least"});
  test::expect_error<ArgumentError>(
      [&] {
        vae.decode(context, Tensor<float>::zeros({1, 1, 4, 4, 3}));
      },
      {"[N, F, h, w, 2]"});
}

TEST_CASE("configurations of films' autoencoders are read strictly", "[models][autoencoder]") {
  const auto refused = [](auto read, const char* text, const char* overrides, std::string_view part) {
    INFO(overrides);
    test::expect_error<ConfigError>([&] { read(text, overrides); }, {"config.json", part});
  };
  const auto read_wan = settings<models::AutoencoderKlWanConfig>;
  refused(read_wan, small_wan, R"({"temperal_downsample": [true, false]})", "temperal_downsample");
  refused(read_wan, small_wan, R"({"dim_mult": []})", "dim_mult");
  refused(read_wan, small_wan, R"({"latents_std": [1, 0]})", "latents_std");
  refused(read_wan, small_wan, R"({"latents_mean": [1]})", "latents_mean");
  refused(read_wan, small_wan, R"({"patch_size": 2})", "patch");
  refused(read_wan, small_wan, R"({"base_dim": 0})", "positive");
  refused(read_wan, small_wan, R"({"is_residual": true, "dim_mult": [1, 9]})", "divide");
  refused(read_wan, small_wan, R"({"_class_name": "AutoencoderKL"})", "AutoencoderKLWan");
  refused(read_wan, small_wan, R"({"wavelet": true})", "wavelet");
  const auto read_hunyuan = settings<models::AutoencoderKlHunyuanVideoConfig>;
  refused(read_hunyuan, small_hunyuan, R"({"norm_num_groups": 3})", "norm_num_groups");
  refused(read_hunyuan, small_hunyuan, R"({"temporal_compression_ratio": 2})", "4 or 8");
  refused(read_hunyuan, small_hunyuan, R"({"spatial_compression_ratio": 16})", "powers of two");
  refused(read_hunyuan, small_hunyuan, R"({"up_block_types": ["UpBlock"]})", "up_block_types");
  const auto read_mochi = settings<models::AutoencoderKlMochiConfig>;
  refused(read_mochi, small_mochi, R"({"layers_per_block": [1, 1]})", "layers_per_block");
  refused(read_mochi, small_mochi, R"({"decoder_block_out_channels": [48, 32]})", "multiples of 32");
  refused(read_mochi, small_mochi, R"({"spatial_expansions": [2, 2]})", "spatial_expansions");
  refused(read_mochi, small_mochi, R"({"in_channels": 3})", "in_channels");

  // What a class's own numbers are.
  const auto wan21 = settings<models::AutoencoderKlWanConfig>(R"({"_class_name": "AutoencoderKLWan"})");
  CHECK(wan21.space_ratio() == 8);
  CHECK(wan21.time_ratio() == 4);
  CHECK(wan21.latents_mean.size() == 16);
  const auto mochi = settings<models::AutoencoderKlMochiConfig>(R"({"_class_name": "AutoencoderKLMochi"})");
  CHECK(mochi.space_ratio() == 8);
  CHECK(mochi.time_ratio() == 6);
}
