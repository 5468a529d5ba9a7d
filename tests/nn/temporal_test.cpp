#include "daguerre/nn/temporal_conv.hpp"
#include "daguerre/nn/temporal_transformer.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/weights/random_tensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

/// Weights that nobody trained; a mix factor of them is 0, so that both halves count alike.
nn::Loader random_loader(unsigned seed) {
  const weights::StateDict state({std::make_shared<const weights::RandomTensors>(seed, DType::f32)},
                                 "random");
  return {weights::Scope(state), context_for("native")};
}

constexpr Index films = 2, frames = 3, height = 2, width = 3, channels = 32, text = 12;
constexpr int heads = 2;

nn::TransformerOptions block_options() {
  nn::TransformerOptions options;
  options.dim = channels;
  options.num_attention_heads = heads;
  options.attention_head_dim = channels / heads;
  return options;
}

/// The frames of pixel `pixel` of a film's tokens `[F, P, C]`, `[1, F, C]`, and back.
Tensor<float> frames_of(const Tensor<float>& tokens, Index pixel) {
  return ops::narrow(ops::Context{}, tokens, 1, pixel, Index{1}).reshape({1, tokens.dim(0), tokens.dim(2)});
}
void put_frames(const Tensor<float>& from, Index pixel, Tensor<float>& tokens) {
  for (Index f = 0; f < tokens.dim(0); ++f)
    std::copy_n(std::as_const(from).data() + f * tokens.dim(2), tokens.dim(2),
                tokens.data() + (f * tokens.dim(1) + pixel) * tokens.dim(2));
}

}  // namespace

TEST_CASE("a transformer in space and time is one of either kind, mixed", "[nn][film]") {
  const auto loader = random_loader(1);
  const auto& context = loader.context;
  const nn::SpaceTimeTransformer<float> whole(
      loader,
      {.in_channels = channels, .num_layers = 1, .num_attention_heads = heads, .cross_attention_dim = text});
  const auto x = random_tensor({films * frames, height, width, channels}, 2);
  const auto states = random_tensor({films, 5, text}, 3);

  auto options = block_options();
  options.cross_attention_dim = text;
  const nn::GroupNorm norm(loader.sub("norm"), channels, 32, 1e-6f);
  const nn::Linear<float> proj_in(loader.sub("proj_in"), channels, channels),
      proj_out(loader.sub("proj_out"), channels, channels);
  const nn::BasicTransformerBlock<float> spatial(loader.sub("transformer_blocks", 0), options),
      temporal(loader.sub("temporal_transformer_blocks", 0), options);
  const nn::LayerNorm norm_in(loader.sub("temporal_transformer_blocks", 0).sub("norm_in"), channels, 1e-5f);
  const nn::FeedForward<float> ff_in(loader.sub("temporal_transformer_blocks", 0).sub("ff_in"), channels);
  const nn::TimestepEmbedding<float> place(loader.sub("time_pos_embed"), channels, 4 * channels,
                                           {.out_channels = channels});

  Tensor<float> expected(x.shape());
  const std::vector<float> numbers{0.0f, 1.0f, 2.0f};
  const auto places =
      place(context, ops::timestep_embedding(numbers, channels)).reshape({1, frames, channels});
  for (Index film = 0; film < films; ++film) {
    const auto told = states.slice(film, film + 1);
    Tensor<float> tokens({frames, height * width, channels});
    for (Index f = 0; f < frames; ++f) {
      const auto picture = x.slice(film * frames + f, film * frames + f + 1);
      const auto pixels = picture.reshape({1, height * width, channels});
      const auto one = spatial(context, proj_in(context, norm.apply<float>(context, pixels)), &told, nullptr);
      std::copy_n(one.data(), one.size(), tokens.data() + f * one.size());
    }
    auto along = tokens.clone();
    for (Index pixel = 0; pixel < height * width; ++pixel) {
      auto line = ops::add(context, frames_of(tokens, pixel), places);
      line = ff_in(context, norm_in.apply<float>(context, line), &line);
      put_frames(temporal(context, line, &told, nullptr), pixel, along);
    }
    const auto mixed = ops::add(context, tokens, along, 0.5f);
    const auto result =
        ops::add(context, proj_out(context, mixed),
                 x.slice(film * frames, (film + 1) * frames).reshape({frames, height * width, channels}));
    std::copy_n(result.data(), result.size(), expected.data() + film * result.size());
  }
  CHECK(difference(whole(context, x, &states, frames), expected).rel_l2 < 1e-6);
}

TEST_CASE("a temporal transformer looks along the frames of each pixel", "[nn][film]") {
  const auto loader = random_loader(4);
  const auto& context = loader.context;
  const nn::TemporalTransformer<float> whole(loader, {.in_channels = channels,
                                                      .norm_num_groups = 8,
                                                      .num_attention_heads = heads,
                                                      .attention_head_dim = channels / heads});
  const auto x = random_tensor({films * frames, height, width, channels}, 5);
  auto options = block_options();
  options.double_self_attention = true;
  const nn::GroupNorm norm(loader.sub("norm"), channels, 8, 1e-6f);
  const nn::Linear<float> proj_in(loader.sub("proj_in"), channels, channels),
      proj_out(loader.sub("proj_out"), channels, channels);
  const nn::BasicTransformerBlock<float> block(loader.sub("transformer_blocks", 0), options);
  Tensor<float> expected(x.shape());
  for (Index film = 0; film < films; ++film) {
    const auto own = x.slice(film * frames, (film + 1) * frames);
    const auto normed = norm.apply<float>(context, own.reshape({1, frames * height * width, channels}));
    auto tokens = proj_in(context, normed).reshape({frames, height * width, channels});
    const auto before = tokens;
    for (Index pixel = 0; pixel < height * width; ++pixel)
      put_frames(block(context, frames_of(before, pixel), nullptr, nullptr), pixel, tokens);
    const auto result = ops::add(context, proj_out(context, tokens).reshape(own.shape()), own);
    std::copy_n(result.data(), result.size(), expected.data() + film * result.size());
  }
  CHECK(difference(whole(context, x, frames), expected).rel_l2 < 1e-6);
  expect_error<ArgumentError>([&] { whole(context, x, 4); }, {"[temporal_transformer]", "4 frames"});
}

TEST_CASE("frames share tokens, and a single token needs no queries", "[nn][film]") {
  const auto loader = random_loader(6);
  const auto& context = loader.context;
  const nn::Attention<float> attention(
      loader, {.query_dim = channels, .cross_attention_dim = text, .heads = heads, .head_dim = 16});
  const auto x = random_tensor({films * frames, 7, channels}, 7), residual = random_tensor(x.shape(), 8);
  for (const Index tokens : {1, 5}) {
    const auto states = random_tensor({films, tokens, text}, 9);
    const std::vector<std::int32_t> ids{0, 0, 0, 1, 1, 1};
    const auto repeated = ops::embedding_lookup(states.reshape({films, tokens * text}), ids)
                              .reshape({films * frames, tokens, text});
    const auto expected = attention(context, x, &repeated, nullptr, &residual);
    CHECK(difference(attention(context, x, &states, nullptr, &residual), expected).rel_l2 < 1e-6);
    if (tokens == 1)
      CHECK(difference(attention.of_one_token(context, states, residual), expected).rel_l2 < 1e-6);
    else
      expect_error<ArgumentError>([&] { (void)attention.of_one_token(context, states, residual); },
                                  {"[attention]", "one token"});
  }
  const auto uneven = random_tensor({4, 5, text}, 10);
  expect_error<ArgumentError>([&] { (void)attention(context, x, &uneven); }, {"[attention]", "[4, 5, 12]"});
}

TEST_CASE("a temporal residual layer adds its share of what it finds", "[nn][film]") {
  const auto loader = random_loader(11);
  const auto& context = loader.context;
  const nn::TemporalResnet<float> layer(loader, {.channels = channels, .temb_channels = 6});
  const auto x = random_tensor({films * frames, height, width, channels}, 12);
  const auto temb = random_tensor({films, 6}, 13);
  const auto own = loader.sub("temporal_res_block");
  const nn::GroupNorm norm1(own.sub("norm1"), channels, 32, 1e-5f, ops::Activation::silu),
      norm2(own.sub("norm2"), channels, 32, 1e-5f, ops::Activation::silu);
  const nn::Conv3d<float> conv1(own.sub("conv1"), channels, channels, nn::FilmGeometry::centred(3, 1)),
      conv2(own.sub("conv2"), channels, channels, nn::FilmGeometry::centred(3, 1));
  const nn::Linear<float> proj(own.sub("time_emb_proj"), 6, channels);
  const auto film = x.reshape({films, frames, height, width, channels});
  const auto told = proj(context, ops::activate(context, temb, ops::Activation::silu));
  const auto hidden = ops::add_rows(context, conv1(context, norm1.apply<float>(context, film)), told);
  const auto found = conv2(context, norm2.apply<float>(context, hidden));
  const auto expected = ops::weighted_sum(context, film, 1.0f, found, 0.5f).reshape(x.shape());
  CHECK(difference(layer(context, x, frames, &temb), expected).rel_l2 < 1e-6);
  expect_error<ArgumentError>([&] { layer(context, x, frames); }, {"[temporal_resnet]", "is needed"});
  expect_error<ArgumentError>([&] { layer(context, x, 5, &temb); }, {"[temporal_conv]", "5 frames"});
}
