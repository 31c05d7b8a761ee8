"""Foreign weights of regional inversion that only a user can bring: rows of the table in :mod:`understudy.provenance.weights`.

Of some, no checksum is published; those are told by what is in them when they are imported.
"""

from __future__ import annotations

from typing import Any

_NVIDIA = "NVIDIA Source Code License, non-commercial (weights trained on FFHQ, CC BY-NC-SA 4.0)"

ROWS: tuple[dict[str, Any], ...] = (
    {
        "name": "stylegan2-ffhq",
        "file": "stylegan2-ffhq-config-f.pt",
        "sha256": "bae494ef77e32a9cd1792a81a3c167692a0e64f6bcd8b06592ff42917e2ed46e",
        "num_bytes": 0,
        "licence": f"converted from NVIDIA's: {_NVIDIA}",
        "commercial": False,
        "purpose": "generator and discriminator at 1024² from which regional inversion starts",
        "published": "linked from the pages of github.com/rosinality/stylegan2-pytorch and github.com/e4s2022/e4s; the checksum is "
        "a mirror's",
    },
    {
        "name": "stylegan2-ada-ffhq",
        "file": "ffhq.pkl",
        "sha256": "",
        "num_bytes": 0,
        "licence": _NVIDIA,
        "commercial": False,
        "purpose": "the same, as NVIDIA publishes it for PyTorch",
        "published": "nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/ffhq.pkl",
    },
    {
        "name": "e4s",
        "file": "iteration_300000.pt",
        "sha256": "",
        "num_bytes": 0,
        "licence": f"code MIT (e4s2022); generator tuned from NVIDIA's: {_NVIDIA}",
        "commercial": False,
        "purpose": "the authors' regional inversion at 1024²",
        "published": "linked from the page of github.com/e4s2022/e4s",
    },
    {
        "name": "arcface-ir-se50",
        "file": "model_ir_se50.pth",
        "sha256": "a035c768259b98ab1ce0e646312f48b9e1e218197a0f80ac6765e88f8b6ddf28",
        "num_bytes": 175_367_323,
        "licence": "MIT (TreB1eN/InsightFace_Pytorch; trained on MS-Celeb-1M, whose terms are for research only)",
        "commercial": False,
        "purpose": "identity loss of regional inversion",
        "published": "linked from the page of github.com/TreB1eN/InsightFace_Pytorch",
    },
    {
        "name": "alexnet",
        "file": "alexnet-owt-7be5be79.pth",
        "sha256": "",
        "num_bytes": 0,
        "licence": "BSD-3-Clause (torchvision; trained on ImageNet)",
        "commercial": True,
        "purpose": "features of the LPIPS loss of regional inversion",
        "published": "download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    },
    {
        "name": "lpips-alex",
        "file": "alex.pth",
        "sha256": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        "num_bytes": 6009,
        "licence": "BSD-2-Clause (richzhang/PerceptualSimilarity)",
        "commercial": True,
        "purpose": "heads of the LPIPS loss of regional inversion",
        "published": "github.com/richzhang/PerceptualSimilarity, lpips/weights/v0.1/alex.pth",
    },
    {
        "name": "squeezenet",
        "file": "lpips_squeeze_backbone.pth",
        "sha256": "435cedb387e95bc8291893f61a3a64f0345b8c23a05139aceef43947efb3d52d",
        "num_bytes": 2_899_197,
        "licence": "BSD-3-Clause (torchvision's SqueezeNet 1.1, its convolutions; trained on ImageNet)",
        "commercial": True,
        "purpose": "features of the LPIPS loss of regional inversion where alexnet is not at hand",
        "published": "github.com/delldu/LPIPS, project/image_likeness/models/squeeze.backbone.pth, "
        "commit 77473a15f51969d567c0e03bf31c7f116a152777",
    },
    {
        "name": "lpips-squeeze-heads",
        "file": "lpips_squeeze_lin_v0.1.pth",
        "sha256": "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
        "num_bytes": 10_811,
        "licence": "BSD-2-Clause (richzhang/PerceptualSimilarity)",
        "commercial": True,
        "purpose": "heads of the LPIPS loss of regional inversion with squeezenet",
        "published": "github.com/richzhang/PerceptualSimilarity, lpips/weights/v0.1/squeeze.pth",
    },
    {
        "name": "face-parsing",
        "file": "79999_iter.pth",
        "sha256": "468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
        "num_bytes": 53_289_463,
        "licence": "code MIT (zllrunning/face-parsing.PyTorch); trained on CelebAMask-HQ, for non-commercial research only",
        "commercial": False,
        "purpose": "19 classes of a face at 512², in place of the packaged parser (--parser public)",
        "published": "linked from the page of github.com/zllrunning/face-parsing.PyTorch",
    },
    {
        "name": "face-vid2vid",
        "file": "00000189-checkpoint.pth.tar",
        "sha256": "",
        "num_bytes": 0,
        "licence": "CC BY-NC 4.0 (zhanglonghao1992; trained on VoxCeleb)",
        "commercial": False,
        "purpose": "drives a source by the plate's pictures at 256² (swap --reenact face-vid2vid)",
        "published": "Vox-256, linked from the page of "
        "github.com/zhanglonghao1992/One-Shot_Free-View_Neural_Talking_Head_Synthesis",
    },
)
