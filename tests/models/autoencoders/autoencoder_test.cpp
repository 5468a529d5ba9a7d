#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "conformance/case.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/autoencoders/vq_model.hpp"
#include "daguerre/models/denoisers/unet_2d.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;

namespace {

Config config_of(const std::string& area_and_case, const std::string& overrides = "{}") {
  return Config::load(test::golden(area_and_case) / "config.json").with(overrides);
}

models::AutoencoderKlConfig kl(const std::string& overrides) {
  return models::AutoencoderKlConfig::from(config_of("vae/kl_sd1", overrides));
}

template <class Read>
void refuses(const Read& read, const char* overrides, std::string_view part) {
  INFO(overrides);
  test::expect_error<ConfigError>([&] { read(overrides); }, {"config.json", part});
}

/// The weights of a case with attention named as diffusers named it before 0.16.
nn::Loader with_old_names(const std::string& area_and_case, const ops::Context& context) {
  const auto state = weights::StateDict::load(test::golden(area_and_case) / "weights.safetensors");
  std::vector<weights::RenamedTensor> tensors;
  int renamed = 0;
  for (const auto& name : state.names()) {
    std::string old = name;
    for (const auto& [from, to] : {std::pair{".to_q.", ".query."},
                                   {".to_k.", ".key."},
                                   {".to_v.", ".value."},
                                   {".to_out.0.", ".proj_attn."}})
      if (const auto at = old.find(from); at != old.npos) {
        old.replace(at, std::string(from).size(), to);
        ++renamed;
      }
    tensors.push_back({old, name});
  }
  CHECK(renamed >= 8);
  return {weights::Scope(state.renamed(tensors)), context};
}

}  // namespace

TEST_CASE("autoencoders are read as the reference reads them", "[models][autoencoder]") {
  CHECK(kl(R"({"sample_size": [256, 128]})").sample_size == 256);
  CHECK(kl(R"({"shift_factor": null})").shift_factor == 0.0f);
  CHECK_FALSE(kl(R"({"mid_block_add_attention": null})").mid_block_add_attention);
  CHECK_FALSE(kl(R"({"use_quant_conv": null})").use_quant_conv);
  CHECK(kl(R"({"decay": 0.9999, "optimization_step": 7})").latent_channels == 4);
  const auto normalised = kl(R"({"latents_mean": [0, 1, 2, 3], "latents_std": [1, 2, 3, 4]})");
  CHECK(normalised.latents_mean == std::vector<float>{0, 1, 2, 3});
  CHECK(normalised.latents_std == std::vector<float>{1, 2, 3, 4});
  // Blocks on the way up are listed from the innermost outwards.
  const auto attends =
      kl(R"({"down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
      "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "AttnUpDecoderBlock2D"]})");
  CHECK(attends.down_attention == std::vector<bool>{false, false, true});
  CHECK(attends.up_attention == std::vector<bool>{true, false, false});

  refuses(kl, R"({"sample_size": null})", "sizes must be positive");
  refuses(kl, R"({"scaling_factor": null})", "scaling_factor");
  refuses(kl, R"({"latents_mean": [1, 2]})", "latents_mean");
  refuses(kl, R"({"latents_std": [1, 1, 1, 0]})", "latents_std");
  refuses(kl, R"({"down_block_types": ["DownEncoderBlock2D", "DownBlock2D", "DownEncoderBlock2D"]})",
          "AttnDownEncoderBlock2D");
  refuses(kl, R"({"_class_name": "AsymmetricAutoencoderKL"})", "AsymmetricAutoencoderKL");
}

TEST_CASE("attention under its old names is the same attention", "[models][autoencoder][unet]") {
  const auto context = test::context_for("native");
  const auto config = models::AutoencoderKlConfig::from(config_of("vae/kl_sd1"));
  const models::AutoencoderKl<float> vae(
      config, conformance::loader_for(test::golden("vae/kl_sd1") / "weights.safetensors", context));
  const models::AutoencoderKl<float> old(config, with_old_names("vae/kl_sd1", context));
  const auto latents = test::random_tensor({1, 4, 4, 4}, 2);
  CHECK(test::difference(old.decode(context, latents), vae.decode(context, latents)).rel_l2 == 0.0);

  const auto unet_config = models::UNet2DConfig::from(config_of("unet/ddpm_uncond"));
  const models::UNet2D<float> unet(
      unet_config,
      conformance::loader_for(test::golden("unet/ddpm_uncond") / "weights.safetensors", context));
  const models::UNet2D<float> old_unet(unet_config, with_old_names("unet/ddpm_uncond", context));
  const auto sample = test::random_tensor({1, 8, 8, 3}, 2);
  const float time = 500.0f;
  CHECK(test::difference(old_unet(context, sample, std::span(&time, 1)),
                         unet(context, sample, std::span(&time, 1)))
            .rel_l2 == 0.0);
}

TEST_CASE("a codebook's vectors are their own nearest", "[models][autoencoder]") {
  const auto context = test::context_for("native");
  const auto config = models::VqModelConfig::from(config_of("vae/vq_ldm"));
  const models::VqModel<float> model(
      config, conformance::loader_for(test::golden("vae/vq_ldm") / "weights.safetensors", context));
  Tensor<std::int32_t> all({1, 1, config.num_vq_embeddings});
  for (Index i = 0; i < all.size(); ++i) all.data()[i] = static_cast<std::int32_t>(i);
  const auto found = model.codes(context, model.vectors(context, all));
  CHECK(std::equal(found.span().begin(), found.span().end(), all.span().begin()));
  all.data()[0] = static_cast<std::int32_t>(config.num_vq_embeddings);
  test::expect_error<ArgumentError>([&] { model.vectors(context, all); }, {std::to_string(config.num_vq_embeddings)});
  test::expect_error<ArgumentError>(
      [&] {
        model.decode(context, test::random_tensor({1, 4, 4, 5}, 1));
      },
      {"[1, 4, 4, 5]"});

  const auto vq = [](const std::string& overrides) {
    return models::VqModelConfig::from(config_of("vae/vq_ldm", overrides));
  };
  CHECK(vq(R"({"vq_embed_dim": null})").vq_embed_dim == config.latent_channels);
  refuses(vq, R"({"norm_type": "spatial"})", "norm_type");
}
