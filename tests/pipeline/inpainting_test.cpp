#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>

#include "daguerre/daguerre.hpp"
#include "daguerre/media/filter.hpp"
#include "daguerre/pipeline/model.hpp"
#include "pipeline/canvas.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using test::expect_error;

namespace {

Pipeline painter(const std::string& name) {
  return Pipeline::load(test::golden("pipelines/" + name),
                        {.precision = Precision::float32, .engine = "native", .threads = 1});
}

Image noisy_picture(Index width, Index height, Index channels, unsigned seed) {
  std::mt19937 random(seed);
  Image image(width, height, channels);
  for (auto& value : image.pixels()) value = static_cast<std::uint8_t>(random() & 255u);
  return image;
}

Image grey_box(Index width, Index height, const Area& box, std::uint8_t value = 255) {
  Image mask(width, height, 1);
  for (Index y = box.top; y < box.top + box.height; ++y)
    for (Index x = box.left; x < box.left + box.width; ++x)
      mask.pixels()[static_cast<std::size_t>(y * width + x)] = value;
  return mask;
}

Request paint_order(Image picture, Image mask) {
  Request request;
  request.prompt = "a red door";
  request.sampling = {.steps = 4, .seed = 3, .sampler = "ddim"};
  request.input.image = std::move(picture);
  request.input.mask = std::move(mask);
  return request;
}

bool equal_tensors(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.data(), a.data() + a.size(), b.data());
}

const std::uint8_t* pixel(const Image& image, Index x, Index y) {
  return image.pixels().data() + (y * image.width() + x) * image.channels();
}

int value_at(const Image& image, Index x, Index y, Index c) {
  return pixel(image, std::clamp<Index>(x, 0, image.width() - 1),
               std::clamp<Index>(y, 0, image.height() - 1))[c];
}

/// How many pixels of `made`, seen from (left, top), differ from `picture`'s where `keeps(x, y)`.
template <class Keeps>
Index changed(const Image& made, const Image& picture, Index left, Index top, const Keeps& keeps) {
  Index count = 0;
  for (Index y = 0; y < picture.height(); ++y)
    for (Index x = 0; x < picture.width(); ++x)
      if (keeps(x, y) &&
          !std::equal(pixel(picture, x, y), pixel(picture, x, y) + 3, pixel(made, x + left, y + top)))
        ++count;
  return count;
}

}  // namespace

TEST_CASE("a Gaussian blur is three boxes along each axis", "[image][inpaint]") {
  const auto image = noisy_picture(23, 9, 3, 1);
  for (const double radius : {0.4, 1.0, 2.5, 7.0}) {
    // The box's half width, from the equations of Gwosdek et al., and its weights in 8.24 bits.
    const float variance = static_cast<float>(radius) * static_cast<float>(radius) / 3.0f;
    const float length = static_cast<float>(std::sqrt(12.0 * static_cast<double>(variance) + 1.0));
    const float whole = std::floor((length - 1.0f) / 2.0f);
    const float half = whole + (2.0f * whole + 1.0f) * (whole * (whole + 1.0f) - 3.0f * variance) /
                                   (6.0f * (variance - (whole + 1.0f) * (whole + 1.0f)));
    const auto reach = static_cast<Index>(half);
    const auto weight = static_cast<std::int64_t>(16777216.0f / (half * 2.0f + 1.0f));
    const std::int64_t rest = ((1 << 24) - (2 * reach + 1) * weight) / 2;
    Image naive = image;
    for (int pass = 0; pass < 6; ++pass) {
      const Image before = naive;
      const Index dx = pass < 3 ? 1 : 0, dy = 1 - dx;
      for (Index y = 0; y < image.height(); ++y)
        for (Index x = 0; x < image.width(); ++x)
          for (Index c = 0; c < 3; ++c) {
            std::int64_t sum = 1 << 23;
            for (Index k = -reach - 1; k <= reach + 1; ++k)
              sum += value_at(before, x + k * dx, y + k * dy, c) * (std::abs(k) <= reach ? weight : rest);
            naive.pixels()[static_cast<std::size_t>((y * image.width() + x) * 3 + c)] =
                static_cast<std::uint8_t>(sum >> 24);
          }
    }
    INFO("radius " << radius);
    const auto blurred = gaussian_blur(image, radius);
    CHECK(std::equal(naive.pixels().begin(), naive.pixels().end(), blurred.pixels().begin()));
  }
  const auto same = gaussian_blur(image, 0.0);
  CHECK(std::equal(same.pixels().begin(), same.pixels().end(), image.pixels().begin()));
  // And near the bell that it stands for: an edge becomes its integral.
  const auto edge = gaussian_blur(grey_box(201, 3, {100, 0, 101, 3}), 10.0);
  for (const Index x : {80, 90, 100, 105, 120}) {
    const double bell = 0.5 * std::erfc(-(static_cast<double>(x) + 0.5 - 100.0) / (10.0 * std::sqrt(2.0)));
    CHECK(std::abs(value_at(edge, x, 1, 0) - 255.0 * bell) < 3.0);
  }
  expect_error<ArgumentError>([&] { (void)gaussian_blur(image, std::nan("")); }, {"blur", "0 to 1000"});
  expect_error<ArgumentError>([&] { (void)gaussian_blur(Image(), 1.0); }, {"empty"});
}

TEST_CASE("masks grow and shrink by squares", "[image][inpaint]") {
  const auto image = noisy_picture(17, 11, 1, 2);
  for (const Index radius : {-20, -3, -1, 0, 1, 2, 5, 30}) {
    const auto result = grown(image, radius);
    Index wrong = 0;
    for (Index y = 0; y < image.height(); ++y)
      for (Index x = 0; x < image.width(); ++x) {
        int expected = value_at(image, x, y, 0);
        const Index reach = std::abs(radius);
        for (Index dy = -reach; dy <= reach; ++dy)
          for (Index dx = -reach; dx <= reach; ++dx) {
            const int other = value_at(image, x + dx, y + dy, 0);
            expected = radius < 0 ? std::min(expected, other) : std::max(expected, other);
          }
        wrong += expected != value_at(result, x, y, 0);
      }
    INFO("radius " << radius);
    CHECK(wrong == 0);
  }
  expect_error<ArgumentError>([&] { (void)grown(image, 5000); }, {"5000", "4096"});
}

TEST_CASE("the area around a mask is widened to the picture's proportions", "[pipeline][inpaint]") {
  const Image picture(100, 80, 3);
  CHECK_FALSE(bounds_of(Image(10, 10, 1), 4));
  const auto area = bounds_of(grey_box(100, 80, {10, 10, 10, 10}, 1), 4).value();
  CHECK(area == Area{6, 6, 18, 18});
  CHECK(in_proportion(area, 16, 16, picture) == area);
  // As expand_crop_region has it: 18 more, half on either side, moved back into the picture.
  CHECK(in_proportion(area, 32, 16, picture) == Area{0, 6, 36, 18});
  CHECK(in_proportion({70, 6, 18, 18}, 32, 16, picture) == Area{61, 6, 36, 18});
  CHECK(in_proportion({80, 6, 18, 18}, 32, 16, picture) == Area{64, 6, 36, 18});
  CHECK(in_proportion({40, 60, 40, 18}, 16, 16, picture) == Area{40, 40, 40, 40});
  CHECK(in_proportion({0, 30, 100, 10}, 16, 32, picture) == Area{0, 0, 100, 80});  // as far as it goes
  CHECK(bounds_of(grey_box(100, 80, {0, 70, 5, 10}), 20).value() == Area{0, 50, 25, 30});
}

TEST_CASE("what is not masked stays as it is to the byte", "[pipeline][inpaint]") {
  const auto pipe = painter("sd1");
  const auto picture = noisy_picture(24, 16, 3, 5);
  const Area box{9, 4, 6, 7};
  auto order = paint_order(picture, grey_box(24, 16, box));
  const auto plain = pipe.generate(order);
  order.input.inpainting.keep_unmasked = true;
  const auto kept = pipe.generate(order);
  const auto outside = [&](Index reach) {
    return [=](Index x, Index y) {
      return x < box.left - reach || x >= box.left + box.width + reach || y < box.top - reach ||
             y >= box.top + box.height + reach;
    };
  };
  const auto inside = [&](Index x, Index y) { return !outside(0)(x, y); };
  CHECK(equal_tensors(plain.latents, kept.latents));
  CHECK(changed(plain.images[0], picture, 0, 0, outside(0)) > 0);
  CHECK(changed(kept.images[0], picture, 0, 0, outside(0)) == 0);
  CHECK(changed(kept.images[0], plain.images[0], 0, 0, inside) == 0);

  order.input.inpainting.mask_grow = 1;
  order.input.inpainting.mask_blur = 0.5;
  order.input.inpainting.only_masked = 2;
  order.output.count = 2;
  const auto cut = pipe.generate(order);
  REQUIRE(cut.images.size() == 2);
  CHECK(cut.images[0].width() == 24);
  CHECK(cut.images[0].height() == 16);
  for (const auto& image : cut.images) CHECK(changed(image, picture, 0, 0, outside(5)) == 0);
  CHECK(changed(cut.images[0], picture, 0, 0, inside) > 0);
  CHECK(changed(cut.images[0], cut.images[1], 0, 0, inside) > 0);
  order.output.count = 1;  // no image depends on its batch
  CHECK(changed(pipe.generate(order).images[0], cut.images[0], 0, 0, [](Index, Index) { return true; }) == 0);
  const auto& text = cut.infotexts[0];
  for (const char* part :
       {"Mask blur: 0.5", "Mask grow: 1", "Inpaint area: Only masked", "Masked area padding: 2"})
    CHECK(text.find(part) != std::string::npos);
}

TEST_CASE("pictures grow by their sides", "[pipeline][inpaint]") {
  const auto picture = noisy_picture(15, 13, 3, 6);
  for (const char* name : {"sd1", "sd1_inpaint9"}) {
    auto order = paint_order(picture, {});
    order.input.inpainting.outpaint = {.left = 7, .right = 3, .bottom = 6, .overlap = 2};
    const auto made = painter(name).generate(order);
    const auto& image = made.images[0];
    CHECK(image.width() == 25);
    CHECK(image.height() == 19);
    const auto kept = [](Index x, Index y) { return x >= 2 && x < 13 && y < 11; };
    CHECK(changed(image, picture, 7, 0, kept) == 0);
    CHECK(changed(image, picture, 7, 0, [&](Index x, Index y) { return !kept(x, y); }) > 0);
    CHECK(made.infotexts[0].find("Outpaint: 7 0 3 6") != std::string::npos);
  }
}

TEST_CASE("a mask of black and white is the same mask when grey counts", "[pipeline][inpaint]") {
  for (const auto& [name, strength] :
       {std::pair{"sd1", 1.0}, {"sd1", 0.6}, {"sd1_inpaint9", 1.0}, {"flux_fill", 1.0}, {"sd3", 0.7}}) {
    INFO(name << " " << strength);
    const auto pipe = painter(name);
    auto order = paint_order(noisy_picture(32, 32, 3, 7), grey_box(32, 32, {8, 8, 16, 16}));
    order.sampling.sampler = pipe.info().family.starts_with("sd3") || pipe.info().family.starts_with("flux")
                                 ? std::nullopt
                                 : std::optional<std::string>("euler-a");
    order.input.strength = strength;
    const auto plain = pipe.generate(order);
    order.input.inpainting.differential = true;
    CHECK(equal_tensors(pipe.generate(order).latents, plain.latents));
    order.input.mask = grey_box(32, 32, {8, 8, 16, 16}, 90);  // below half: nothing, if it did not count
    const auto grey = pipe.generate(order);
    CHECK_FALSE(equal_tensors(grey.latents, plain.latents));
  }
}

TEST_CASE("a grey mask begins where its strength does", "[pipeline][inpaint]") {
  const auto pipe = painter("sd1");
  auto order = paint_order(noisy_picture(24, 16, 3, 8), grey_box(24, 16, {0, 0, 24, 16}, 128));
  order.sampling.steps = 10;
  order.input.inpainting.differential = true;
  const auto grey = pipe.generate(order);
  // Step 4 is the last that follows the picture: from there on it is image to image, with the same noise.
  order.input.mask = {};
  order.input.inpainting = {};
  order.input.strength = 0.6;
  CHECK(equal_tensors(pipe.generate(order).latents, grey.latents));
}

TEST_CASE("what stands under the mask at the beginning can be chosen", "[pipeline][inpaint]") {
  const auto pipe = painter("sd1");
  auto order = paint_order(noisy_picture(24, 16, 3, 9), grey_box(24, 16, {8, 4, 8, 8}));
  order.input.strength = 0.5;
  std::vector<Tensor<float>> made{pipe.generate(order).latents};
  for (const auto content :
       {MaskedContent::fill, MaskedContent::latent_noise, MaskedContent::latent_nothing}) {
    order.input.inpainting.content = content;
    made.push_back(pipe.generate(order).latents);
    for (std::size_t i = 0; i + 1 < made.size(); ++i) CHECK_FALSE(equal_tensors(made[i], made.back()));
  }
  // It begins with noise alone, so that there is nothing to stand there.
  order.input.strength = 1.0;
  const auto whole = pipe.generate(order).latents;
  order.input.inpainting.content = MaskedContent::original;
  CHECK(equal_tensors(pipe.generate(order).latents, whole));
}

TEST_CASE("what makes no sense around a mask is refused", "[pipeline][inpaint]") {
  const auto pipe = painter("sd1");
  const auto refused = [&](const auto& change, std::initializer_list<std::string_view> parts) {
    auto order = paint_order(noisy_picture(24, 16, 3, 1), grey_box(24, 16, {8, 4, 8, 8}));
    change(order);
    expect_error<ArgumentError>([&] { pipe.generate(order); }, parts);
  };
  refused([](Request& r) { r.input.inpainting.mask_blur = -1.0; }, {"blur", "-1"});
  refused(
      [](Request& r) {
        r.input.inpainting.content = MaskedContent::latent_noise;
        r.sampling.denoising_start = 0.5;
      },
      {"denoising_start", "under the mask"});
  refused([](Request& r) { r.input.inpainting.mask_grow = 99999; }, {"99999", "4096"});
  refused([](Request& r) { r.input.inpainting.only_masked = -4; }, {"padding", "-4"});
  refused([](Request& r) { r.input.inpainting.outpaint.left = -8; }, {"outpainting", "-8"});
  refused([](Request& r) { r.input.mask = {}, r.input.inpainting.differential = true; }, {"no mask"});
  refused([](Request& r) { r.input.mask = Image(24, 16, 1), r.input.inpainting.only_masked = 0; },
          {"mask is black"});
  refused([](Request& r) { r.input.image = {}, r.input.mask = {}, r.input.inpainting.outpaint.top = 8; },
          {"outpainting needs the picture"});
  refused([](Request& r) { r.input.inpainting.outpaint.right = 16384; }, {"16384"});
  refused(
      [](Request& r) {
        r.input.latents = Tensor<float>::zeros({1, 8, 12, 4});
        r.input.image = {};
        r.input.inpainting.keep_unmasked = true;
      },
      {"needs the picture itself"});
}
